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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/shim.h"
#include "util/cleanup.h"
#include "util/io.h"

#define RESERVED_PIDS 300u  /* where the kernel goes on when it begins anew */
#define PIDS_MIN      4096u /* a node with fewer has no room for this */
#define PIDS_MAX      65536u

static void report(int channel, uint8_t byte)
{
	/* A supervisor that does not listen is no reason to wait. */
	(void)!send(channel, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * Programs make names of their pids: in /tmp, in /dev/shm.  If the first ones
 * of all jobs were 2, 3 and so on, OpenMPI's ranks of two jobs would meet in
 * one segment of memory.  A job that is restored has its own in any case.
 */
static void spread_pids(void)
{
	auto_free char *max_text = NULL;
	struct err unused;
	uint32_t random;
	char text[16];
	unsigned long max;
	size_t len;
	int fd, n;

	if (read_file_at(AT_FDCWD, "/proc/sys/kernel/pid_max", sizeof(text),
			 &max_text, &len, &unused) < 0 ||
	    getrandom(&random, sizeof(random), 0) != sizeof(random))
		return;
	max = strtoul(max_text, NULL, 10);
	if (max < PIDS_MIN)
		return;
	if (max > PIDS_MAX)
		max = PIDS_MAX;
	n = snprintf(text, sizeof(text), "%u",
		     RESERVED_PIDS +
			     random % (uint32_t)(max / 2 - RESERVED_PIDS));
	/* A kernel without it could restore nothing either. */
	fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)write_all(fd, text, (size_t)n, &unused);
	close(fd);
}

/*
 * Mounts of our own, not seen outside, and the job's processes in /proc; its
 * System V objects and POSIX message queues are nobody else's.
 */
static void make_mounts(int channel, bool host_ipc)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0 ||
	    (!host_ipc && ipc_make() < 0))
		_exit(EXIT_SHIM);
	spread_pids();
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

/* Its own end is the supervisor's, and while it is sheltered the worker's. */
struct ties {
	int channel;  /* the supervisor; -1: it has ended */
	int lifeline; /* open while the worker lives; -1: not sheltered */
};

static void take_order(struct ties *t)
{
	int fds[1] = { -1 };
	size_t len, count = 1;
	struct err unused;
	uint8_t order;

	if (recv_fds(t->channel, &order, 1, &len, fds, &count, &unused) < 0)
		return;
	if (t->lifeline >= 0)
		close(t->lifeline);
	t->lifeline = order == INIT_SHELTER && count ? fds[0] : -1;
	/* One that ended before this is seen as the end of the channel. */
	prctl(PR_SET_PDEATHSIG, t->lifeline >= 0 ? 0 : SIGKILL);
	report(t->channel, t->lifeline >= 0 ? INIT_SHELTERED : INIT_RETURNED);
}

/* Without both the kernel kills whatever is left of the job. */
static void look_after(struct ties *t, const struct pollfd *channel,
		       const struct pollfd *lifeline)
{
	if (channel->revents & POLLIN)
		take_order(t);
	if (channel->revents & (POLLHUP | POLLERR)) {
		close(t->channel);
		t->channel = -1;
	}
	if (t->lifeline >= 0 && t->lifeline == lifeline->fd &&
	    lifeline->revents) {
		close(t->lifeline);
		t->lifeline = -1;
	}
	if (t->channel < 0 && t->lifeline < 0)
		_exit(0);
}

void init_run(int channel, bool host_ipc)
{
	struct signalfd_siginfo si;
	struct ties ties = { .lifeline = -1 };
	int signals;
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
	signals = signalfd(-1, &all, SFD_NONBLOCK);
	if (channel < 0 || signals < 0 || chdir("/") < 0)
		_exit(EXIT_SHIM);
	make_mounts(channel, host_ipc);
	ties.channel = channel;
	for (;;) {
		struct pollfd fds[3] = { { ties.channel, POLLIN, 0 },
					 { signals, POLLIN, 0 },
					 { ties.lifeline, 0, 0 } };

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			_exit(EXIT_SHIM);
		look_after(&ties, &fds[0], &fds[2]);
		while (read(signals, &si, sizeof(si)) == sizeof(si))
			if (si.ssi_signo != SIGCHLD)
				report(ties.channel, (uint8_t)si.ssi_signo);
	}
}
