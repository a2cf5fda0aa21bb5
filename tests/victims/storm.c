/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals arrive all the time in two computing threads and one that sleeps:
 * none of the stops may get lost in them, no computation may be hurt.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define PERIOD_NS 40000

static volatile unsigned long handled;
static volatile bool stop, wrong;

static void on_signal(int sig)
{
	int before = errno;

	(void)sig;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
	errno = before;
}

static void start_timer(int sig)
{
	struct itimerspec often = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
	struct sigevent ev;
	timer_t id;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = sig;
	ev._sigev_un._tid = (int)syscall(SYS_gettid);
	victim_need(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0 &&
			    timer_settime(id, 0, &often, NULL) == 0,
		    "timer");
}

/* The same sum of floating point numbers each time, in all registers. */
static void *compute(void *arg)
{
	const double expect = 1000.0 * 1001 * 2001 / 6;

	(void)arg;
	start_timer(SIGRTMIN);
	while (!stop) {
		double sum = 0;
		int i;

		for (i = 1; i <= 1000; i++)
			sum += (double)i * i;
		if (sum != expect)
			wrong = true;
	}
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_signal,
				.sa_flags = SA_RESTART };
	pthread_t threads[2];
	unsigned long before;
	int i;

	sigaction(SIGRTMIN, &sa, NULL);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, compute, NULL);
	start_timer(SIGRTMIN + 1);
	victim_need(victim_until(handled > 100), "no signals");
	victim_wait();
	before = handled;
	victim_check(victim_until(handled > before + 1000),
		     "signals come no more");
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	victim_verdict(!wrong, "computation goes on under a storm of signals");
}
