/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For other C libraries and ways to link: threads with data of their own in a
 * ring, a timer's signals, children on pipes, memory of many sizes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS  4
#define ROUNDS   1500
#define CHILDREN 20

static __thread uint64_t own;
static sem_t turn[THREADS];
static uint64_t baton = 1;
static volatile sig_atomic_t ticks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ended;

static uint64_t mix(uint64_t x, uint64_t y)
{
	x = (x ^ y) * 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A block of some size, filled and summed up. */
static uint64_t block(uint64_t x)
{
	size_t i, n = 16 + x % 40000;
	uint64_t sum = 0, *p = malloc(n * sizeof(*p));

	if (!p)
		die("malloc");
	for (i = 0; i < n; i++)
		p[i] = mix(x, i);
	for (i = 0; i < n; i++)
		sum += p[i];
	free(p);
	return sum;
}

static void *run(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	struct timespec t = { .tv_nsec = 10000 };

	own = me;
	for (int i = 0; i < ROUNDS; i++) {
		while (sem_wait(&turn[me]) < 0)
			if (errno != EINTR)
				die("sem_wait");
		own = mix(own, baton);
		baton = mix(block(baton), own);
		sem_post(&turn[(me + 1) % THREADS]);
		if (i % 100 == 0)
			(void)nanosleep(&t, NULL);
	}
	pthread_mutex_lock(&lock);
	ended++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* What a child computes and says. */
static uint64_t child(uint64_t seed)
{
	uint64_t x = seed;
	int fd[2], status;
	pid_t pid;

	if (pipe(fd) < 0 || (pid = fork()) < 0)
		die("fork");
	if (pid == 0) {
		for (int i = 0; i < 3000000; i++)
			x = mix(x, (uint64_t)i);
		_exit(write(fd[1], &x, sizeof(x)) != sizeof(x));
	}
	close(fd[1]);
	if (read(fd[0], &x, sizeof(x)) != sizeof(x))
		die("read");
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("waitpid");
	return x;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	FILE *out;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (size_t i = 0; i < THREADS; i++)
		sem_init(&turn[i], 0, i == 0);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run,
				   (void *)(uintptr_t)i))
			die("pthread_create");
	for (int i = 0; i < CHILDREN; i++)
		sum = mix(sum, child((uint64_t)i));
	pthread_mutex_lock(&lock);
	while (ended < THREADS)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* On a busy machine a checkpoint takes a while to begin. */
	while (ticks < 200)
		pause();
	out = fopen("result", "w");
	if (!out)
		die("result");
	fprintf(out, "%016llx %016llx\n", (unsigned long long)sum,
		(unsigned long long)baton);
	return fclose(out) ? 1 : 0;
}
