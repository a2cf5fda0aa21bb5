/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pid 1 of a job.  It reaps, and says which signals it was sent: Slurm either
 * signals the supervisor alone or every process, and only in the first case
 * is the signal to be forwarded.  Signals stay blocked and are read from a
 * signalfd, because pid 1 never sees one whose action is the default.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/shim.h"

static void report(int channel, uint8_t byte)
{
	/* A supervisor that does not listen is no reason to wait. */
	(void)!send(channel, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Mounts of our own, not seen outside, and the job's processes in /proc. */
static void make_mounts(int channel)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0)
		_exit(EXIT_SHIM);
	report(channel, 0);
}

static int null_stdio(void)
{
	int fd = open("/dev/null", O_RDWR);
	int i;

	for (i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	return fd;
}

void init_run(int channel)
{
	struct signalfd_siginfo si;
	struct pollfd fds[2];
	sigset_t all;

	/* It cannot be traced or forgotten: it ends with the supervisor. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "jobcr-init");
	setsid();
	channel = dup2(channel, 3);
	null_stdio();
	close_range(4, ~0u, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	fds[0] = (struct pollfd){ channel, POLLIN, 0 };
	fds[1] = (struct pollfd){ signalfd(-1, &all, SFD_NONBLOCK), POLLIN, 0 };
	if (channel < 0 || fds[1].fd < 0 || chdir("/") < 0)
		_exit(EXIT_SHIM);
	make_mounts(channel);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			_exit(EXIT_SHIM);
		/* End of file: the kernel kills whatever is left of the job. */
		if (fds[0].revents & (POLLHUP | POLLERR))
			_exit(0);
		while (read(fds[1].fd, &si, sizeof(si)) == sizeof(si))
			if (si.ssi_signo != SIGCHLD)
				report(channel, (uint8_t)si.ssi_signo);
	}
}
