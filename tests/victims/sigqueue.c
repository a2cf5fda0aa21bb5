/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pending signals of a process and of two of its threads: who sent them, with
 * what, in which order; more than one page of them; from the kernel too.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define MANY 300

static pid_t child;
static timer_t timer;

static void queue(pid_t tid, int sig, int code, uint64_t value)
{
	siginfo_t si;
	long r;

	memset(&si, 0, sizeof(si));
	si.si_signo = sig;
	si.si_errno = (int)(value & 0xff) - 3;
	si.si_code = code;
	si.si_pid = 0x12345678;
	si.si_uid = 0xfffffffe;
	si.si_value.sival_ptr = (void *)value;
	r = tid ? syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &si)
		: syscall(SYS_rt_sigqueueinfo, getpid(), sig, &si);
	victim_need(r == 0, "rt_sigqueueinfo");
}

/* Take one pending signal of the set {sig}; false when there is none. */
static bool take(int sig, siginfo_t *si)
{
	struct timespec none = { 0 };
	uint64_t set = 1ull << (sig - 1);

	/* glibc's function turns SI_TKILL into SI_USER. */
	return syscall(SYS_rt_sigtimedwait, &set, si, &none, 8) == sig;
}

static void expect(const char *who, int sig, int code, uint64_t value)
{
	siginfo_t si;

	if (!victim_check(take(sig, &si), "%s: signal %d, value %#llx is gone",
			  who, sig, (unsigned long long)value))
		return;
	victim_check(si.si_code == code && si.si_pid == 0x12345678 &&
			     si.si_uid == 0xfffffffe &&
			     si.si_errno == (int)(value & 0xff) - 3 &&
			     si.si_value.sival_ptr == (void *)value,
		     "%s: signal %d: value %#llx became %p, code %d", who, sig,
		     (unsigned long long)value, si.si_value.sival_ptr,
		     si.si_code);
}

static void expect_none(const char *who)
{
	sigset_t set;
	int sig;

	sigpending(&set);
	for (sig = 1; sig <= 64; sig++)
		victim_check(!sigismember(&set, sig), "%s: signal %d too many",
			     who, sig);
}

static void fill_thread(uint64_t mark)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	int i;

	for (i = 0; i < 40; i++)
		queue(tid, 50, -1, mark + (uint64_t)i);
	queue(tid, SIGTERM, SI_TKILL, mark);
	queue(tid, SIGSEGV, 0x7f, mark);
	tgkill(getpid(), tid, SIGHUP);
}

static void check_thread(const char *who, uint64_t mark)
{
	siginfo_t si;
	int i;

	for (i = 0; i < 40; i++)
		expect(who, 50, -1, mark + (uint64_t)i);
	expect(who, SIGTERM, SI_TKILL, mark);
	expect(who, SIGSEGV, 0x7f, mark);
	victim_check(take(SIGHUP, &si) && si.si_code == SI_TKILL &&
			     si.si_pid == getpid() && si.si_uid == getuid(),
		     "%s: tgkill", who);
}

static void *thread(void *arg)
{
	pthread_barrier_t *ready = arg;

	fill_thread(0xdead000000000000);
	pthread_barrier_wait(ready);
	victim_wait_go();
	check_thread("thread", 0xdead000000000000);
	return NULL;
}

static void fill_process(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGRTMAX - 1,
			       .sigev_value.sival_ptr = (void *)0x7157 };
	struct itimerspec soon = { .it_value.tv_nsec = 1 };
	int i;

	for (i = 0; i < MANY; i++)
		queue(0, 34 + i % 3, SI_QUEUE, (uint64_t)i << 32 | 7);
	queue(0, SIGUSR1, SI_MESGQ, ~0ull);
	queue(0, SIGUSR1, SI_MESGQ, 1); /* not queued twice */
	kill(getpid(), SIGUSR2);
	child = fork();
	if (child == 0)
		_exit(23);
	waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT);
	victim_need(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0,
		    "timer_create");
	timer_settime(timer, 0, &soon, NULL);
	victim_nap(2000000);
}

static void check_process(void)
{
	siginfo_t si;
	int i;

	for (i = 0; i < MANY; i++)
		expect("process", 34 + i % 3, SI_QUEUE, (uint64_t)i << 32 | 7);
	expect("process", SIGUSR1, SI_MESGQ, ~0ull);
	victim_check(take(SIGUSR2, &si) && si.si_code == SI_USER &&
			     si.si_pid == getpid() && si.si_uid == getuid(),
		     "kill(2)");
	victim_check(take(SIGCHLD, &si) && si.si_code == CLD_EXITED &&
			     si.si_pid == child && si.si_status == 23,
		     "SIGCHLD of the kernel");
	victim_check(take(SIGRTMAX - 1, &si) && si.si_code == SI_TIMER &&
			     si.si_value.sival_ptr == (void *)0x7157,
		     "SI_TIMER");
	victim_check(waitpid(child, NULL, WNOHANG) == child, "the zombie");
}

int main(void)
{
	pthread_barrier_t ready;
	pthread_t other;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* 32 and 33 are glibc's own, and it does not let go of them. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	pthread_barrier_init(&ready, NULL, 2);
	victim_need(pthread_create(&other, NULL, thread, &ready) == 0,
		    "pthread_create");
	fill_process();
	fill_thread(0xbeef000000000000);
	pthread_barrier_wait(&ready);
	victim_wait();
	check_thread("leader", 0xbeef000000000000);
	check_process();
	pthread_join(other, NULL);
	expect_none("at the end");
	victim_verdict(victim_interrupts == 0, "pending signals are the same");
}
