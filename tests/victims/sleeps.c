/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sleeps until an instant of each clock, begun before the cut: they end at it
 * or, had it passed meanwhile, at once; never before, never with EINTR.  And a
 * handler in a handler, both on an alternate stack.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define SOON_NS 300000000
#define SLOP_S  15

static struct sleeper {
	const char *name;
	clockid_t clock;
	volatile int asleep;
} sleepers[] = {
	{ "REALTIME", CLOCK_REALTIME, 0 },
	{ "MONOTONIC", CLOCK_MONOTONIC, 0 },
	{ "BOOTTIME", CLOCK_BOOTTIME, 0 },
	{ "TAI", CLOCK_TAI, 0 },
};
#define SLEEPERS (sizeof(sleepers) / sizeof(sleepers[0]))

static volatile int depth;

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *sleeper(void *arg)
{
	struct sleeper *s = arg;
	int64_t late, until = now_ns(s->clock) + SOON_NS;
	struct timespec t = { until / 1000000000, until % 1000000000 };
	long r;

	s->asleep = 1;
	r = syscall(SYS_clock_nanosleep, s->clock, TIMER_ABSTIME, &t, NULL);
	late = now_ns(s->clock) - until;
	victim_check(r == 0, "%s: %s", s->name, strerror(errno));
	victim_check(late >= 0 && late < SLOP_S * 1000000000ll,
		     "%s: %lld ns late", s->name, (long long)late);
	return NULL;
}

static char *stack;
static size_t stack_size;

static bool is_on_stack(const void *at)
{
	return (const char *)at >= stack &&
	       (const char *)at < stack + stack_size;
}

static void inner(int sig, siginfo_t *si, void *context)
{
	volatile int here = 0x1234;
	stack_t now;

	(void)context;
	depth = 2;
	victim_wait_go();
	sigaltstack(NULL, &now);
	victim_check(sig == SIGUSR2 && si->si_value.sival_int == 22 &&
			     here == 0x1234 && is_on_stack((void *)&here) &&
			     now.ss_flags & SS_ONSTACK,
		     "the inner handler");
	depth = 3;
}

static void outer(int sig, siginfo_t *si, void *context)
{
	volatile double here = 1.0 / 3;
	sigset_t set;

	(void)context;
	depth = 1;
	sigqueue(getpid(), SIGUSR2, (union sigval){ .sival_int = 22 });
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	victim_check(sig == SIGUSR1 && si->si_value.sival_int == 11 &&
			     here == 1.0 / 3 && is_on_stack((void *)&here) &&
			     sigismember(&set, SIGHUP) && depth == 3,
		     "the outer handler");
	depth = 4;
}

static void *nested(void *arg)
{
	struct sigaction sa = { .sa_sigaction = outer,
				.sa_flags = SA_ONSTACK | SA_SIGINFO };
	stack_t ss = { 0 };
	sigset_t set;

	stack_size = 4 * (size_t)sysconf(_SC_SIGSTKSZ);
	stack = malloc(stack_size);
	ss.ss_sp = stack;
	ss.ss_size = stack_size;
	sigaltstack(&ss, NULL);
	sigaddset(&sa.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_sigaction = inner;
	sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 11 });
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	victim_check(!sigismember(&set, SIGHUP) && !sigismember(&set, SIGUSR1),
		     "the mask after the handlers");
	return arg;
}

int main(void)
{
	pthread_t threads[SLEEPERS], id;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	victim_need(pthread_create(&id, NULL, nested, NULL) == 0, "thread");
	victim_need(victim_until(depth == 2), "no handler in a handler");
	for (size_t i = 0; i < SLEEPERS; i++) {
		victim_need(pthread_create(&threads[i], NULL, sleeper,
					   &sleepers[i]) == 0,
			    "thread");
		victim_until(sleepers[i].asleep);
	}
	victim_wait();
	for (size_t i = 0; i < SLEEPERS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(id, NULL);
	victim_check(depth == 4, "the handlers came to %d", depth);
	victim_verdict(victim_interrupts == 0, "sleeps and handlers go on");
}
