/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Much of everything: processes, threads, descriptors, mappings. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define PROCESSES 60
#define THREADS   3
#define EVENTS    600
#define FILES     300
#define MAPPINGS  3000

static struct shared {
	atomic_int ready;
	atomic_long turns[PROCESSES][THREADS];
	atomic_int go;
} * s;

static int events[EVENTS], files[FILES], twins[FILES];
static char *maps;

static void *thread_main(void *arg)
{
	atomic_long *turn = arg;

	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->go)) {
		atomic_fetch_add(turn, 1);
		victim_nap(10000000);
	}
	return NULL;
}

static void process_main(int n)
{
	pthread_t t[THREADS];
	uint64_t *own = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pattern_fill(own, 64 * PAGE, (uint64_t)n);
	for (int i = 0; i < THREADS; i++)
		victim_need(pthread_create(&t[i], NULL, thread_main,
					   &s->turns[n][i]) == 0,
			    "thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	_exit(pattern_holds(own, 64 * PAGE, (uint64_t)n) ? 0 : 1);
}

static void make_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < EVENTS; i++) {
		events[i] = eventfd((unsigned int)i, EFD_NONBLOCK);
		victim_need(events[i] >= 0, "eventfd");
	}
	for (int i = 0; i < FILES; i++) {
		files[i] = open(victim_path("shared"), O_RDWR | O_CREAT, 0644);
		victim_need(files[i] >= 0, "file");
		/* All of one inode, at few positions: only kcmp can tell. */
		lseek(files[i], i % 3, SEEK_SET);
		twins[i] = dup(files[i]);
	}
}

static void make_mappings(void)
{
	maps = mmap(NULL, MAPPINGS * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	victim_need(maps != MAP_FAILED, "mmap");
	for (size_t i = 0; i < MAPPINGS; i++)
		pattern_fill(maps + i * PAGE, PAGE, i);
	for (size_t i = 0; i < MAPPINGS; i += 2)
		victim_need(mprotect(maps + i * PAGE, PAGE, PROT_READ) == 0,
			    "mprotect");
}

static void check_files(void)
{
	bool good = true;
	uint64_t value;

	for (uint64_t i = 0; i < EVENTS; i++)
		good &= i == 0 ||
			(read(events[i], &value, 8) == 8 && value == i);
	victim_check(good, "an eventfd has another count");
	good = true;
	for (int i = 0; i < FILES; i++) {
		lseek(files[i], 1000 + i, SEEK_SET);
		good &= lseek(twins[i], 0, SEEK_CUR) == 1000 + i;
	}
	for (int i = 0; i < FILES; i++)
		good &= lseek(files[i], 0, SEEK_CUR) == 1000 + i;
	victim_check(good, "who shares a position has changed");
}

int main(void)
{
	long before[PROCESSES][THREADS];
	pid_t pids[PROCESSES];
	bool good = true;
	int status;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_need(s != MAP_FAILED, "mmap");
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			process_main(i);
		victim_need(pids[i] > 0, "fork");
	}
	make_files();
	make_mappings();
	victim_need(victim_until(atomic_load(&s->ready) == PROCESSES * THREADS),
		    "threads");

	victim_wait();

	for (int i = 0; i < PROCESSES; i++)
		for (int k = 0; k < THREADS; k++)
			before[i][k] = atomic_load(&s->turns[i][k]);
	for (int i = 0; i < PROCESSES; i++)
		for (int k = 0; k < THREADS; k++)
			good &= victim_until(atomic_load(&s->turns[i][k]) >
					     before[i][k]);
	victim_check(good, "a thread does not go on");
	atomic_store(&s->go, 1);
	for (int i = 0; i < PROCESSES; i++)
		victim_check(waitpid(pids[i], &status, 0) == pids[i] &&
				     status == 0,
			     "process %d ends with %#x", i, status);
	check_files();
	good = true;
	for (size_t i = 0; i < MAPPINGS; i++)
		good &= pattern_holds(maps + i * PAGE, PAGE, i);
	victim_check(good, "one of many mappings differs");
	victim_verdict(true, "much of everything is as it was");
}
