/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tight loops around timers, epoll and futexes.  A periodic timer tells at
 * each look how often it has gone off: as often as the clock says, neither
 * less nor more, also when nobody could look for a while.  Threads to which
 * no signal comes never see EINTR, and no timeout ends early.
 *
 * Only for a job that goes on: a restore begins overruns anew.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define SECOND   1000000000ll
#define INTERVAL 10000000
#define TIMEOUT  5000000
#define PASSES   20
#define BURST    50
#define REST     1000000

#define SUSPEND (SIGRTMIN)
#define WAIT    (SIGRTMIN + 1)
#define FD      (SIGRTMIN + 2)

/* What a handler of this thread was told. */
static __thread volatile uint64_t handled;
static __thread volatile unsigned int handlers;
static volatile bool stop;

/* What one thread does again and again; false: it is wrong, and said so. */
struct loop {
	const char *name;
	bool (*begin)(struct loop *l);
	bool (*pass)(struct loop *l);
	int partner; /* of two: 0 and 1 */
	timer_t timer;
	int fd, ep;
	int64_t first; /* when it goes off */
	uint64_t total;
	volatile unsigned long passes;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* How often it has gone off at an instant. */
static uint64_t due(const struct loop *l, int64_t at)
{
	return at < l->first ? 0 : (uint64_t)((at - l->first) / INTERVAL) + 1;
}

/* The look began at an instant, and has found so many more. */
static bool account(struct loop *l, int64_t began, uint64_t more)
{
	uint64_t least = due(l, began), most = due(l, now());

	l->total += more;
	return victim_check(l->total >= least && l->total <= most,
			    "%s: %llu ticks, not %llu to %llu", l->name,
			    (unsigned long long)l->total,
			    (unsigned long long)least,
			    (unsigned long long)most);
}

static struct itimerspec periodic(struct loop *l)
{
	struct itimerspec its = { .it_interval = { 0, INTERVAL } };

	l->first = now() + INTERVAL;
	its.it_value.tv_sec = l->first / SECOND;
	its.it_value.tv_nsec = l->first % SECOND;
	return its;
}

static bool begin_timerfd(struct loop *l)
{
	struct itimerspec its = periodic(l);

	l->fd = timerfd_create(CLOCK_MONOTONIC, 0);
	return timerfd_settime(l->fd, TFD_TIMER_ABSTIME, &its, NULL) == 0;
}

static bool pass_timerfd(struct loop *l)
{
	int64_t began = now();
	uint64_t ticks = 0;
	ssize_t n = read(l->fd, &ticks, sizeof(ticks));

	return victim_check(n == sizeof(ticks), "%s: %s", l->name,
			    strerror(errno)) &&
	       account(l, began, ticks);
}

static bool watch(struct loop *l, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	l->ep = epoll_create1(0);
	return epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static bool begin_epoll_timerfd(struct loop *l)
{
	return begin_timerfd(l) && watch(l, l->fd);
}

static bool pass_epoll_timerfd(struct loop *l)
{
	int64_t began = now();
	struct epoll_event ev;
	uint64_t ticks = 0;
	int n = epoll_wait(l->ep, &ev, 1, -1);

	return victim_check(n == 1, "%s: %d, %s", l->name, n,
			    strerror(errno)) &&
	       read(l->fd, &ticks, sizeof(ticks)) == sizeof(ticks) &&
	       account(l, began, ticks);
}

static bool set_timer(struct loop *l, int sig)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = sig };
	struct itimerspec its;

	event.sigev_value.sival_ptr = l;
	if (timer_create(CLOCK_MONOTONIC, &event, &l->timer) < 0)
		return false;
	its = periodic(l);
	return timer_settime(l->timer, TIMER_ABSTIME, &its, NULL) == 0;
}

static void on_tick(int sig, siginfo_t *si, void *context)
{
	(void)context;
	victim_check(si->si_code == SI_TIMER && si->si_signo == sig &&
			     si->si_value.sival_ptr,
		     "a handler: signal %d, code %d", sig, si->si_code);
	handled += 1 + (uint64_t)si->si_overrun;
	handlers++;
}

static bool begin_suspend(struct loop *l)
{
	struct sigaction sa = { .sa_sigaction = on_tick,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	return sigaction(SUSPEND, &sa, NULL) == 0 && set_timer(l, SUSPEND);
}

static bool pass_suspend(struct loop *l)
{
	int64_t began = now();
	uint64_t before = handled;
	unsigned int count = handlers;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SUSPEND);
	sigsuspend(&set);
	return victim_check(handlers == count + 1, "%s: %u handlers", l->name,
			    handlers - count) &&
	       account(l, began, handled - before);
}

static bool begin_wait(struct loop *l)
{
	return set_timer(l, WAIT);
}

static bool pass_wait(struct loop *l)
{
	int64_t began = now();
	siginfo_t si = { 0 };
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, WAIT);
	sig = sigwaitinfo(&set, &si);
	return victim_check(sig == WAIT, "%s: %d, %s", l->name, sig,
			    strerror(errno)) &&
	       victim_check(si.si_code == SI_TIMER &&
				    si.si_value.sival_ptr == l,
			    "%s: code %d", l->name, si.si_code) &&
	       account(l, began, 1 + (uint64_t)si.si_overrun);
}

static bool begin_signalfd(struct loop *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, FD);
	l->fd = signalfd(-1, &set, 0);
	return l->fd >= 0 && set_timer(l, FD);
}

static bool pass_signalfd(struct loop *l)
{
	struct signalfd_siginfo si = { 0 };
	int64_t began = now();
	ssize_t n = read(l->fd, &si, sizeof(si));

	return victim_check(n == sizeof(si), "%s: %s", l->name,
			    strerror(errno)) &&
	       account(l, began, 1 + (uint64_t)si.ssi_overrun);
}

static int bell[2]; /* one of two partners waits for each */

static bool begin_epoll(struct loop *l)
{
	return watch(l, bell[l->partner]);
}

static bool pass_epoll(struct loop *l)
{
	struct epoll_event ev;
	uint64_t value = 0;
	int n = epoll_wait(l->ep, &ev, 1, -1);

	return victim_check(n == 1, "%s: %d, %s", l->name, n,
			    strerror(errno)) &&
	       victim_check(read(bell[l->partner], &value, 8) == 8 &&
				    value == 1,
			    "%s: rung %llu times", l->name,
			    (unsigned long long)value) &&
	       write(bell[!l->partner], &value, 8) == 8;
}

static long futex(volatile int *word, int op, int value,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout,
		       NULL, 0);
}

static bool begin_nothing(struct loop *l)
{
	return l->ep == 0;
}

/* The word says whose turn it is. */
static bool pass_futex(struct loop *l)
{
	static volatile int turn;
	long r;

	while (turn != l->partner) {
		r = futex(&turn, FUTEX_WAIT, !l->partner, NULL);
		if (!victim_check(r == 0 || errno == EAGAIN, "%s: %s", l->name,
				  strerror(errno)))
			return false;
	}
	turn = !l->partner;
	futex(&turn, FUTEX_WAKE, 1, NULL);
	return true;
}

/* A wait that nobody ends: by its timeout, not before. */
static bool ended(const struct loop *l, int64_t began, bool timeout)
{
	int64_t took = now() - began;

	return victim_check(timeout, "%s: %s", l->name, strerror(errno)) &&
	       victim_check(took >= TIMEOUT, "%s: ends after %lld ns", l->name,
			    (long long)took);
}

static bool pass_futex_timeout(struct loop *l)
{
	const struct timespec t = { 0, TIMEOUT };
	static volatile int word;
	int64_t began = now();

	return ended(l, began,
		     futex(&word, FUTEX_WAIT, 0, &t) < 0 && errno == ETIMEDOUT);
}

static bool begin_epoll_timeout(struct loop *l)
{
	l->ep = epoll_create1(0);
	return l->ep >= 0;
}

static bool pass_epoll_timeout(struct loop *l)
{
	int64_t began = now();
	struct epoll_event ev;

	return ended(l, began,
		     epoll_wait(l->ep, &ev, 1, TIMEOUT / 1000000) == 0);
}

static bool pass_poll_timeout(struct loop *l)
{
	int64_t began = now();

	return ended(l, began, poll(NULL, 0, TIMEOUT / 1000000) == 0);
}

static bool pass_nanosleep(struct loop *l)
{
	const struct timespec t = { 0, TIMEOUT };
	int64_t began = now();

	return ended(l, began, nanosleep(&t, NULL) == 0);
}

static struct loop loops[] = {
	{ "timerfd", begin_timerfd, pass_timerfd },
	{ "timerfd in epoll", begin_epoll_timerfd, pass_epoll_timerfd },
	{ "timer and handler", begin_suspend, pass_suspend },
	{ "timer and sigwaitinfo", begin_wait, pass_wait },
	{ "timer and signalfd", begin_signalfd, pass_signalfd },
	{ "epoll", begin_epoll, pass_epoll },
	{ "epoll's partner", begin_epoll, pass_epoll, .partner = 1 },
	{ "futex", begin_nothing, pass_futex },
	{ "futex's partner", begin_nothing, pass_futex, .partner = 1 },
	{ "futex with timeout", begin_nothing, pass_futex_timeout },
	{ "epoll with timeout", begin_epoll_timeout, pass_epoll_timeout },
	{ "poll with timeout", begin_nothing, pass_poll_timeout },
	{ "nanosleep", begin_nothing, pass_nanosleep },
};
#define LOOPS (sizeof(loops) / sizeof(loops[0]))

static void *run(void *arg)
{
	struct loop *l = arg;

	victim_need(l->begin(l), l->name);
	/* Without a rest some kernels let nobody else run for seconds. */
	while (!stop && l->pass(l))
		if (++l->passes % BURST == 0)
			victim_nap(REST);
	return NULL;
}

static bool all_pass(void)
{
	unsigned long from[LOOPS];
	bool all = true;

	for (size_t i = 0; i < LOOPS; i++)
		from[i] = loops[i].passes;
	for (size_t i = 0; i < LOOPS; i++)
		all &= victim_check(
			victim_until(loops[i].passes >= from[i] + PASSES),
			"%s does not come back", loops[i].name);
	return all;
}

int main(void)
{
	const uint64_t one = 1;
	pthread_t id;
	sigset_t set;

	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	for (int i = 0; i < 2; i++)
		bell[i] = eventfd(0, 0);
	victim_need(write(bell[0], &one, sizeof(one)) == sizeof(one),
		    "eventfd");
	for (size_t i = 0; i < LOOPS; i++)
		victim_need(pthread_create(&id, NULL, run, &loops[i]) == 0,
			    "thread");
	victim_need(all_pass(), "they do not even begin");
	victim_wait();
	victim_check(all_pass(), "all go on");
	stop = true;
	victim_verdict(victim_interrupts == 0,
		       "no tick is lost and no wait is cut short");
}
