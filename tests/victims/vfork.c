/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that starts others all the time, as posix_spawn does: until they
 * execute something its children use its own memory, write to it, and keep
 * the thread waiting that has made them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define PAGE  4096ul
#define PAGES 512u

static volatile uint32_t *memory;
static volatile uint32_t turns; /* of children that have ended */
static volatile bool over;

static volatile uint32_t *at(uint32_t turn)
{
	return memory + turn % PAGES * (PAGE / sizeof(*memory));
}

static void *start_others(void *unused)
{
	int status;

	(void)unused;
	while (!over) {
		pid_t child = vfork();

		if (child == 0) {
			*at(turns) = turns;
			victim_nap(30000000);
			*(at(turns) + 1) = turns;
			_exit(0);
		}
		victim_need(child > 0, "vfork");
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		turns++;
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	bool good = true;

	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	victim_need(memory != MAP_FAILED, "mmap");
	for (uint32_t i = 0; i < PAGES; i++)
		*at(i) = *(at(i) + 1) = i;
	turns = PAGES;
	victim_need(pthread_create(&thread, NULL, start_others, NULL) == 0,
		    "thread");
	victim_until(turns > PAGES + 2);
	victim_wait();
	over = true;
	(void)pthread_join(thread, NULL);
	for (uint32_t i = turns - PAGES; i < turns && good; i++)
		good = victim_check(*at(i) == i && *(at(i) + 1) == i,
				    "turn %u: %u, %u", i, *at(i), *(at(i) + 1));
	victim_verdict(good, "what its children wrote is there");
}
