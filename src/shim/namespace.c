/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/shim.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/* Init says that its mounts are made by one byte 0. */
static int wait_init(int fd, struct err *err)
{
	uint8_t byte;

	for (;;) {
		ssize_t n = recv(fd, &byte, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "init");
		if (n == 0)
			return err_set(err, -ECHILD,
				       "init: cannot make an IPC namespace, or "
				       "mount a /proc in a namespace of its "
				       "own");
		if (byte == 0)
			return 0;
	}
}

int spaces_adopt(pid_t init, int init_fd, struct shim_spaces *ret,
		 struct err *err)
{
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, init, 0);

	if (pidfd < 0)
		return err_sys(err, "init %d", init);
	fcntl(pidfd, F_SETFD, FD_CLOEXEC);
	if (setns(pidfd, CLONE_NEWPID) < 0)
		return err_sys(err, "enter the pid namespace of init %d", init);
	ret->init = init;
	ret->init_fd = init_fd;
	ret->init_pidfd = take_fd(&pidfd);
	return 0;
}

int spaces_make(bool host_ipc, struct shim_spaces *ret, struct err *err)
{
	struct clone_args args = { .flags = CLONE_NEWPID | CLONE_NEWNS,
				   .exit_signal = SIGCHLD };
	int pair[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		init_run(pair[1], host_ipc);
	r = pid < 0 ? err_sys(err, "make pid and mount namespaces") : 0;
	close(pair[1]);
	if (r == 0)
		r = wait_init(pair[0], err);
	if (r == 0)
		r = spaces_adopt(pid, pair[0], ret, err);
	if (r < 0) {
		close(pair[0]);
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
	return r;
}

int spaces_enter(const struct shim_spaces *spaces)
{
	const int kinds = CLONE_NEWNS | CLONE_NEWIPC;

	return setns(spaces->init_pidfd, kinds) < 0 ? -errno : 0;
}

/* The kernel wants nanoseconds from 0 to 999999999, seconds of any sign. */
static void split(int64_t ns, long long *ret_sec, long *ret_nsec)
{
	*ret_sec = ns / (int64_t)NSEC_PER_SEC;
	*ret_nsec = (long)(ns % (int64_t)NSEC_PER_SEC);
	if (*ret_nsec < 0) {
		*ret_nsec += (long)NSEC_PER_SEC;
		*ret_sec -= 1;
	}
}

int spaces_set_time(int64_t monotonic_ns, int64_t boottime_ns, struct err *err)
{
	auto_close int fd = -EBADF;
	long long sec[2];
	char text[160];
	long nsec[2];
	int n, r;

	split(monotonic_ns, &sec[0], &nsec[0]);
	split(boottime_ns, &sec[1], &nsec[1]);
	n = snprintf(text, sizeof(text),
		     "monotonic %lld %ld\nboottime %lld %ld\n", sec[0], nsec[0],
		     sec[1], nsec[1]);
	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(err, "make a time namespace");
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "timens_offsets");
	r = write_all(fd, text, (size_t)n, err);
	return r < 0 ? err_wrap(err, r, "timens_offsets") : 0;
}
