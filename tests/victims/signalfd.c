// SPDX-License-Identifier: GPL-2.0-or-later
/* Signalfds, with a signal waiting in them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "../lib/victim.h"

int main(void)
{
	struct signalfd_siginfo info = { 0 };
	union sigval value = { .sival_ptr = (void *)0x123456789abcull };
	sigset_t all, one;
	int wide, narrow;

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

	victim_wait();

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
