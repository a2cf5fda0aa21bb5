/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads in calls that signals interrupt all the time, so that most stops
 * meet one whose handler is just about to run.  Nobody sees an EINTR without
 * a handler that ran in the same thread, or where the handler says that the
 * call is made again; nobody misses a signal that only the call lets in.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define OFTEN_NS       700000
#define LEAST_OFTEN_NS 5000000
#define ONCE_NS        100000
#define WAIT_MS        10
#define PASSES         20

#define FAILS (SIGRTMIN)     /* its handler does not ask for the call again */
#define AGAIN (SIGRTMIN + 1) /* its handler does */

static __thread volatile unsigned long mine; /* handlers run here */
static volatile bool stop;
static long often_ns;
static int ep, bytes[2];
static const struct timespec wait_time = { .tv_nsec = WAIT_MS * 1000000 };

struct worker {
	const char *name;
	long (*call)(void);
	long value; /* when nothing interrupts it */
	int error;  /* with value -1 */
	int sig;    /* 0: what only the call lets in, and nothing else */
	bool alone; /* takes no signals of the whole process */
	volatile unsigned long passes;
};

static void on_signal(int sig)
{
	(void)sig;
	mine++;
}

static long in_epoll(void)
{
	struct epoll_event ev;

	return epoll_wait(ep, &ev, 1, WAIT_MS);
}

static long in_poll(void)
{
	return poll(NULL, 0, WAIT_MS);
}

static long in_select(void)
{
	struct timeval tv = { .tv_usec = WAIT_MS * 1000 };

	return select(0, NULL, NULL, NULL, &tv);
}

static long in_nanosleep(void)
{
	struct timespec rest;

	return syscall(SYS_nanosleep, &wait_time, &rest);
}

static long in_clock_nanosleep(void)
{
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &wait_time,
		       NULL);
}

static long in_futex(void)
{
	static int word;

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait_time,
		       NULL, 0);
}

static long in_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &wait_time);
}

static long in_read(void)
{
	char c;

	return read(bytes[0], &c, 1);
}

static long in_wait(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		usleep(2000);
		_exit(7);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WEXITSTATUS(status);
}

static long in_epoll_pwait(void)
{
	struct epoll_event ev;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, FAILS);
	return epoll_pwait(ep, &ev, 1, -1, &set);
}

static long in_ppoll(void)
{
	struct timespec t = { .tv_sec = 30 };
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, FAILS);
	return ppoll(NULL, 0, &t, &set);
}

static long in_pselect(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, FAILS);
	return pselect(0, NULL, NULL, NULL, NULL, &set);
}

static long in_sigsuspend(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, FAILS);
	return sigsuspend(&set);
}

static struct worker workers[] = {
	/* These two the kernel itself ends for a signal that goes elsewhere. */
	{ "epoll_wait", in_epoll, 0, 0, .sig = 1, .alone = true },
	{ "poll", in_poll, 0, 0, .sig = 1 },
	{ "select", in_select, 0, 0, .sig = 1 },
	{ "nanosleep", in_nanosleep, 0, 0, .sig = 1 },
	{ "clock_nanosleep", in_clock_nanosleep, 0, 0, .sig = 1 },
	{ "futex", in_futex, -1, ETIMEDOUT, .sig = 1 },
	{ "sigtimedwait", in_sigtimedwait, -1, EAGAIN, .sig = 1,
	  .alone = true },
	{ "read", in_read, 1, 0, .sig = 2 },
	{ "fork and waitpid", in_wait, 7, 0, .sig = 2 },
	{ "epoll_pwait", in_epoll_pwait, -1, EINTR },
	{ "ppoll", in_ppoll, -1, EINTR },
	{ "pselect", in_pselect, -1, EINTR },
	{ "sigsuspend", in_sigsuspend, -1, EINTR },
};
#define WORKERS (sizeof(workers) / sizeof(workers[0]))

static void judge(const struct worker *w, long value, int error,
		  unsigned long ran)
{
	bool interrupted = value < 0 && error == EINTR;

	if (w->sig == 0)
		victim_check(interrupted && ran == 1,
			     "%s: %ld, errno %d, %lu handlers", w->name, value,
			     error, ran);
	else if (w->sig == 1 && interrupted)
		victim_check(ran > 0, "%s: EINTR, and no handler ran", w->name);
	else
		victim_check(value == w->value &&
				     (value >= 0 || error == w->error),
			     "%s: %ld, errno %d", w->name, value, error);
}

static void *work(void *arg)
{
	const struct itimerspec often = { { 0, often_ns }, { 0, often_ns } };
	const struct itimerspec once = { .it_value = { 0, ONCE_NS } };
	struct worker *w = arg;
	timer_t timer = victim_timer(w->sig == 2 ? AGAIN : FAILS);
	sigset_t set;

	sigfillset(&set);
	if (w->sig == 1) {
		sigdelset(&set, FAILS);
		if (!w->alone)
			sigdelset(&set, SIGALRM);
	} else if (w->sig == 2) {
		sigdelset(&set, AGAIN);
	}
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	if (w->sig)
		timer_settime(timer, 0, &often, NULL);
	while (!stop) {
		unsigned long before = mine;
		long value;

		if (!w->sig)
			timer_settime(timer, 0, &once, NULL);
		errno = 0;
		value = w->call();
		judge(w, value, errno, mine - before);
		w->passes++;
	}
	return NULL;
}

static void *feed(void *arg)
{
	sigset_t set;

	(void)arg;
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	for (;;) {
		victim_nap(2000000);
		if (write(bytes[1], "x", 1) != 1)
			return NULL;
	}
}

static bool all_pass(void)
{
	unsigned long from[WORKERS];
	bool all = true;

	for (size_t i = 0; i < WORKERS; i++)
		from[i] = workers[i].passes;
	for (size_t i = 0; i < WORKERS; i++)
		all &= victim_check(
			victim_until(workers[i].passes >= from[i] + PASSES),
			"%s does not come back", workers[i].name);
	return all;
}

/* All of them together take no more than a quarter of a CPU. */
static long bearable_ns(void)
{
	double ns = victim_timer_period(AGAIN, 0.25 / (WORKERS + 1));

	if (ns > LEAST_OFTEN_NS)
		return LEAST_OFTEN_NS;
	return ns > OFTEN_NS ? (long)ns : OFTEN_NS;
}

int main(void)
{
	struct sigaction fails = { .sa_handler = on_signal };
	struct sigaction again = { .sa_handler = on_signal,
				   .sa_flags = SA_RESTART };
	struct itimerval often;
	pthread_t id;
	sigset_t set;

	ep = epoll_create1(0);
	victim_need(ep >= 0 && pipe(bytes) == 0, "descriptors");
	sigaction(FAILS, &fails, NULL);
	sigaction(AGAIN, &again, NULL);
	sigaction(SIGALRM, &fails, NULL);
	often_ns = bearable_ns();
	often.it_interval = (struct timeval){ 0, often_ns / 1000 };
	often.it_value = often.it_interval;
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	for (size_t i = 0; i < WORKERS; i++)
		victim_need(pthread_create(&id, NULL, work, &workers[i]) == 0,
			    "thread");
	victim_need(pthread_create(&id, NULL, feed, NULL) == 0, "thread");
	setitimer(ITIMER_REAL, &often, NULL);
	victim_need(all_pass(), "they do not even begin");
	victim_wait();
	victim_check(all_pass(), "all go on");
	victim_verdict(true, "calls are interrupted by handlers alone");
}
