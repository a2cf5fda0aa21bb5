// SPDX-License-Identifier: GPL-2.0-or-later
/* Signalfds, with a signal waiting in them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

/* Who waits by an epoll is woken by a signal that comes later. */
struct watch {
	int epoll, signals;
};

static struct watch watch_make(uint32_t events)
{
	struct watch w = { .epoll = epoll_create1(0) };
	struct epoll_event e = { .events = events, .data.u64 = 77 };
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGURG);
	w.signals = signalfd(-1, &one, SFD_NONBLOCK);
	victim_need(sigprocmask(SIG_BLOCK, &one, NULL) == 0 &&
			    w.signals >= 0 &&
			    epoll_ctl(w.epoll, EPOLL_CTL_ADD, w.signals, &e) ==
				    0,
		    "signalfd in an epoll");
	return w;
}

static bool watch_wakes(const struct watch *w)
{
	struct signalfd_siginfo info = { 0 };
	struct epoll_event e = { 0 };

	/* What the kernel may remember of before is gone then. */
	if (epoll_wait(w->epoll, &e, 1, 0) != 0)
		return false;
	kill(getpid(), SIGURG);
	return epoll_wait(w->epoll, &e, 1, 5000) == 1 && e.data.u64 == 77 &&
	       e.events == EPOLLIN &&
	       read(w->signals, &info, sizeof(info)) == sizeof(info) &&
	       info.ssi_signo == SIGURG && epoll_wait(w->epoll, &e, 1, 0) == 0;
}

/* Has those of its parent, and one of its own. */
static int child(void)
{
	struct watch own = watch_make(EPOLLIN);

	victim_wait_go();
	return !watch_wakes(&own);
}

static bool ends_well(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	struct signalfd_siginfo info = { 0 };
	union sigval value = { .sival_ptr = (void *)0x123456789abcull };
	sigset_t all, one;
	struct watch level, edge, once, spent;
	struct epoll_event e = { 0 };
	int wide, narrow;
	pid_t pid;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	all = one;
	sigaddset(&all, SIGRTMAX);
	sigaddset(&all, SIGUSR1);
	sigprocmask(SIG_BLOCK, &all, NULL);
	wide = signalfd(-1, &all, SFD_NONBLOCK);
	narrow = signalfd(-1, &one, SFD_NONBLOCK | SFD_CLOEXEC);
	victim_need(wide >= 0 && narrow >= 0 &&
			    sigqueue(getpid(), SIGRTMAX, value) == 0,
		    "signalfd");
	level = watch_make(EPOLLIN);
	edge = watch_make(EPOLLIN | EPOLLET);
	once = watch_make(EPOLLIN | EPOLLONESHOT);
	spent = watch_make(EPOLLIN | EPOLLONESHOT);
	victim_need(watch_wakes(&spent), "an entry that has fired");
	victim_need(epoll_wait(level.epoll, &e, 1, 0) == 0, "nothing waits");
	epoll_wait(edge.epoll, &e, 1, 0);
	pid = fork();
	if (pid == 0)
		_exit(child());

	victim_wait();

	victim_check(watch_wakes(&level), "an epoll is not woken");
	victim_check(watch_wakes(&edge), "nor one that waits for edges");
	victim_check(ends_well(pid), "nor that of a child");
	kill(getpid(), SIGURG);
	victim_check(epoll_wait(spent.epoll, &e, 1, 0) == 0,
		     "an entry that has fired fires again");
	e = (struct epoll_event){ EPOLLIN, { .u64 = 77 } };
	victim_check(epoll_ctl(spent.epoll, EPOLL_CTL_MOD, spent.signals, &e) ==
				     0 &&
			     epoll_wait(spent.epoll, &e, 1, 5000) == 1 &&
			     read(spent.signals, &info, sizeof(info)) ==
				     sizeof(info) &&
			     watch_wakes(&spent),
		     "it cannot be armed again");
	victim_check(watch_wakes(&once), "one that fires once does not");

	victim_check(read(narrow, &info, sizeof(info)) < 0 && errno == EAGAIN,
		     "the narrow one does not see it");
	victim_check(read(wide, &info, sizeof(info)) == sizeof(info) &&
			     info.ssi_signo == (uint32_t)SIGRTMAX &&
			     info.ssi_ptr == 0x123456789abcull &&
			     info.ssi_pid == (uint32_t)getpid(),
		     "the wide one has the signal and its value");
	kill(getpid(), SIGUSR2);
	victim_check(read(narrow, &info, sizeof(info)) == sizeof(info) &&
			     info.ssi_signo == SIGUSR2,
		     "a new one comes to the narrow one");
	victim_check(fcntl(narrow, F_GETFD) == FD_CLOEXEC &&
			     (fcntl(narrow, F_GETFL) & O_NONBLOCK),
		     "flags");
	victim_verdict(true, "signals are read as before");
}
