/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals arrive all the time in two computing threads and one that sleeps:
 * none of the stops may get lost in them, no computation may be hurt.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

/* What is left of a sleep that a signal ends has the timer slack (50 us) on
 * top of it: with signals more often than that, no sleep would ever end. */
#define LEAST_NS 150000
#define MOST_NS  1000000

static long period_ns;
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
	struct itimerspec often = { { 0, period_ns }, { 0, period_ns } };

	victim_need(timer_settime(victim_timer(sig), 0, &often, NULL) == 0,
		    "timer");
}

/* As often as can be, but each takes no more than a fifth of a CPU. */
static void choose_period(void)
{
	double ns = victim_timer_period(SIGRTMIN, 0.2);

	period_ns = ns < LEAST_NS ? LEAST_NS : ns > MOST_NS ? MOST_NS : (long)ns;
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
	choose_period();
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
