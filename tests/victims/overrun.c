// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Overrun counts of POSIX timers: of the process and of a thread, with signals
 * of the same number that wait, on three clocks; and the timers go on.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define QUEUED 5

static struct overrun {
	clockid_t clock;
	int signal, notify;
	long interval_ms;
	int id, before;
} timers[] = {
	{ CLOCK_MONOTONIC, 40, SIGEV_SIGNAL, 100 },
	{ CLOCK_REALTIME, 41, SIGEV_THREAD_ID, 30 },
	{ CLOCK_BOOTTIME, 42, SIGEV_SIGNAL, 70 },
};
#define COUNT (int)(sizeof(timers) / sizeof(timers[0]))

static volatile pid_t other_tid;
static volatile int taken, go_on;

static void take(const struct overrun *t)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, t->signal);
	victim_need(sigwaitinfo(&set, &info) == t->signal, "sigwaitinfo");
}

static void *other(void *arg)
{
	(void)arg;
	other_tid = (pid_t)syscall(SYS_gettid);
	victim_until(go_on);
	take(&timers[1]);
	taken = 1;
	victim_wait_go();
	return NULL;
}

static void start(struct overrun *t)
{
	const long ns = t->interval_ms * 1000000;
	struct itimerspec set = { { 0, ns }, { 0, ns } };
	struct sigevent ev;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = t->notify;
	ev.sigev_signo = t->signal;
	ev.sigev_value.sival_int = t->signal;
	if (t->notify == SIGEV_THREAD_ID)
		ev.sigev_notify_thread_id = other_tid;
	victim_need(syscall(SYS_timer_create, t->clock, &ev, &t->id) == 0 &&
			    syscall(SYS_timer_settime, t->id, 0, &set, NULL) ==
				    0,
		    "timer");
}

static int overrun(const struct overrun *t)
{
	return (int)syscall(SYS_timer_getoverrun, t->id);
}

/* Signals of its number that others have sent wait, in this order. */
static void queue_some(int sig)
{
	for (int i = 0; i < QUEUED; i++)
		victim_need(sigqueue(getpid(), sig,
				     (union sigval){ .sival_int = 1000 + i }) ==
				    0,
			    "sigqueue");
}

/* What waits first is what waited at the cut; later ones are the timer's. */
static void check_queue(int sig)
{
	struct timespec wait = { 5, 0 };
	siginfo_t info;
	sigset_t set;
	int next = 1000, ticks = 0;

	sigemptyset(&set);
	sigaddset(&set, sig);
	while (ticks < 3 || next < 1000 + QUEUED) {
		if (!victim_check(sigtimedwait(&set, &info, &wait) == sig,
				  "signal %d: %d queued and %d ticks came", sig,
				  next - 1000, ticks))
			return;
		if (info.si_code == SI_TIMER) {
			ticks++;
			continue;
		}
		victim_check(info.si_value.sival_int == next,
			     "signal %d: %d came, not %d", sig,
			     info.si_value.sival_int, next);
		next++;
	}
	victim_check(next == 1000 + QUEUED, "signal %d: one came twice", sig);
}

int main(void)
{
	sigset_t all;
	pthread_t thread;

	sigemptyset(&all);
	for (int i = 0; i < COUNT; i++)
		sigaddset(&all, timers[i].signal);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pthread_create(&thread, NULL, other, NULL);
	victim_until(other_tid);
	for (int i = 0; i < COUNT; i++)
		start(&timers[i]);
	victim_nap(750000000);
	take(&timers[0]);
	take(&timers[2]);
	go_on = 1;
	victim_until(taken);
	for (int i = 0; i < COUNT; i++) {
		timers[i].before = overrun(&timers[i]);
		victim_need(timers[i].before > 3, "an overrun");
	}
	queue_some(timers[2].signal);

	victim_wait();

	for (int i = 0; i < COUNT; i++)
		victim_check(overrun(&timers[i]) == timers[i].before,
			     "timer %d: overrun %d, not %d", i,
			     overrun(&timers[i]), timers[i].before);
	check_queue(timers[2].signal);
	take(&timers[0]);
	take(&timers[0]);
	victim_check(overrun(&timers[0]) <= timers[0].before + 100,
		     "its overrun grew to %d", overrun(&timers[0]));
	victim_verdict(true, "overruns are as they were");
}
