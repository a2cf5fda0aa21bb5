/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define THREADS_MAX 31

struct work {
	parallel_fn fn;
	void *arg;
	size_t n, next;
};

static void *run(void *arg)
{
	struct work *w = arg;
	size_t i;

	for (;;) {
		i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED);
		if (i >= w->n)
			return NULL;
		w->fn(w->arg, i);
	}
}

static size_t others(size_t n)
{
	cpu_set_t cpus;
	size_t count = THREADS_MAX;

	/* More than a set holds: there is no lack of them. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		count = (size_t)CPU_COUNT(&cpus) - 1;
	if (count > n - 1)
		count = n - 1;
	return count < THREADS_MAX ? count : THREADS_MAX;
}

void parallel_run(size_t n, parallel_fn fn, void *arg)
{
	struct work w = { .fn = fn, .arg = arg, .n = n };
	pthread_t threads[THREADS_MAX];
	size_t wanted = n > 1 ? others(n) : 0, started = 0;
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (started < wanted &&
	       pthread_create(&threads[started], NULL, run, &w) == 0)
		started++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)run(&w);
	while (started)
		(void)pthread_join(threads[--started], NULL);
}
