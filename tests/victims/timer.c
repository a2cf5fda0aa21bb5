/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interval timers, and POSIX timers of every clock and kind, ids with gaps. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define SLOP 15 /* s that may have passed */

static struct posix {
	clockid_t clock;
	int notify;
	struct itimerspec set, before;
	int id;
} timers[] = {
	{ CLOCK_MONOTONIC, SIGEV_SIGNAL, { { 0, 0 }, { 4000000000, 1 } } },
	{ CLOCK_REALTIME, SIGEV_NONE, { { 7, 999999999 }, { 100, 1 } } },
	{ CLOCK_BOOTTIME, SIGEV_THREAD_ID, { { 0, 1 }, { 90000, 5 } } },
	{ CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, { { 1, 1 }, { 999, 0 } } },
	{ CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, { { 0, 0 }, { 888, 7 } } },
	{ CLOCK_TAI, SIGEV_SIGNAL, { { 0, 0 }, { 777, 7 } } },
	{ CLOCK_MONOTONIC, SIGEV_SIGNAL, { { 0, 0 }, { 0, 0 } } },
};
#define COUNT (int)(sizeof(timers) / sizeof(timers[0]))

static volatile sig_atomic_t ticks, thread_ticks, alarms;
static volatile pid_t other_tid, tick_tid;
static void *volatile tick_value;

static void on_tick(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)context;
	ticks++;
	tick_value = si->si_value.sival_ptr;
	tick_tid = (pid_t)syscall(SYS_gettid);
}

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static int create(clockid_t clock, int notify, int sig, void *value, pid_t tid)
{
	struct sigevent ev;
	int id = -1;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = notify;
	ev.sigev_signo = sig;
	ev.sigev_value.sival_ptr = value;
	if (notify == SIGEV_THREAD_ID)
		ev.sigev_notify_thread_id = tid;
	victim_need(syscall(SYS_timer_create, clock, &ev, &id) == 0,
		    "timer_create");
	return id;
}

/* Ids go up by one for each: some are deleted again for the gaps. */
static void leave_gap(int n)
{
	while (n--) {
		int id = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL, 0);

		syscall(SYS_timer_delete, id);
	}
}

static void *other(void *arg)
{
	(void)arg;
	other_tid = (pid_t)syscall(SYS_gettid);
	victim_wait_go();
	victim_until(thread_ticks);
	return NULL;
}

static void set_all(void)
{
	int i;

	for (i = 0; i < COUNT; i++) {
		struct posix *t = &timers[i];

		leave_gap(i * 3);
		t->id = create(t->clock, t->notify, 40 + i,
			       (void *)(0xabcdef0000000000 + (uint64_t)i),
			       other_tid);
		syscall(SYS_timer_settime, t->id, 0, &t->set, NULL);
		syscall(SYS_timer_gettime, t->id, &t->before);
	}
}

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

static void check_all(void)
{
	int i, next;

	for (i = 0; i < COUNT; i++) {
		struct posix *t = &timers[i];
		struct itimerspec now;
		double gone;

		memset(&now, 0xff, sizeof(now));
		if (!victim_check(syscall(SYS_timer_gettime, t->id, &now) == 0,
				  "timer %d is gone", t->id))
			continue;
		gone = seconds(&t->before.it_value) - seconds(&now.it_value);
		victim_check(gone >= 0 && gone < SLOP,
			     "timer %d: %.9f s have passed", t->id, gone);
		victim_check(!memcmp(&now.it_interval, &t->set.it_interval,
				     sizeof(now.it_interval)) ||
				     t->set.it_value.tv_sec == 0,
			     "timer %d: another interval", t->id);
	}
	next = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, NULL, 0);
	victim_check(next > timers[COUNT - 1].id, "next id is %d", next);
}

static void set_itimers(void)
{
	struct itimerval real = { { 0, 3000 }, { 0, 3000 } };
	struct itimerval virt = { { 1000000, 999999 }, { 5000, 1 } };
	struct itimerval prof = { { 0, 0 }, { 100000000, 500000 } };

	setitimer(ITIMER_REAL, &real, NULL);
	setitimer(ITIMER_VIRTUAL, &virt, NULL);
	setitimer(ITIMER_PROF, &prof, NULL);
}

static void check_itimers(void)
{
	struct itimerval now;

	getitimer(ITIMER_REAL, &now);
	victim_check(now.it_interval.tv_sec == 0 &&
			     now.it_interval.tv_usec == 3000,
		     "ITIMER_REAL: interval");
	getitimer(ITIMER_VIRTUAL, &now);
	victim_check(now.it_interval.tv_sec == 1000000 &&
			     now.it_interval.tv_usec == 999999 &&
			     now.it_value.tv_sec <= 5001 &&
			     now.it_value.tv_sec >= 5000 - SLOP,
		     "ITIMER_VIRTUAL: %ld.%06ld", (long)now.it_value.tv_sec,
		     (long)now.it_value.tv_usec);
	getitimer(ITIMER_PROF, &now);
	victim_check(now.it_interval.tv_sec == 0 &&
			     now.it_interval.tv_usec == 0 &&
			     now.it_value.tv_sec <= 100000001 &&
			     now.it_value.tv_sec >= 100000000 - SLOP,
		     "ITIMER_PROF: %ld.%06ld", (long)now.it_value.tv_sec,
		     (long)now.it_value.tv_usec);
}

int main(void)
{
	struct itimerspec fast = { { 0, 2000000 }, { 0, 2000000 } };
	struct sigaction tick = { .sa_sigaction = on_tick,
				  .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction alrm = { .sa_handler = on_alarm,
				  .sa_flags = SA_RESTART };
	pthread_t thread;
	int id, t, a;

	sigaction(SIGRTMIN, &tick, NULL);
	sigaction(SIGALRM, &alrm, NULL);
	pthread_create(&thread, NULL, other, NULL);
	victim_until(other_tid);
	set_all();
	set_itimers();
	leave_gap(100);
	id = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN,
		    (void *)0x1122334455667788, other_tid);
	syscall(SYS_timer_settime, id, 0, &fast, NULL);
	victim_need(victim_until(ticks > 2 && alarms > 2), "no ticks");
	victim_wait();
	t = ticks;
	a = alarms;
	victim_check(victim_until(ticks > t + 3), "the thread's timer stopped");
	victim_check(victim_until(alarms > a + 3), "ITIMER_REAL stopped");
	victim_check(tick_tid == other_tid, "its signal went to %d",
		     (int)tick_tid);
	victim_check(tick_value == (void *)0x1122334455667788,
		     "its value is %p", tick_value);
	thread_ticks = 1;
	check_itimers();
	check_all();
	victim_verdict(true, "timers go on");
}
