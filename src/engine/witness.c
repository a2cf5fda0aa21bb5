// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Only a child of who enters a pid namespace is in it: a helper enters, and
 * stays to end the witness and to reap it, so that the job's init never does.
 */
#include "engine/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Also what it was forked with: pipes of the job would stay open in it. */
static void hold_only(int fd)
{
	if (dup2(fd, 0) < 0 || syscall(SYS_close_range, 1u, UINT32_MAX, 0) < 0)
		_exit(1);
}

static int drop_all(uint32_t uid, uint32_t gid)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}

/* Until whoever wants a witness closes its end, or dies. */
static void await_end(void)
{
	char c;

	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
}

/* Says its number when it is what it is to be. */
static void be_witness(uint32_t uid, uint32_t gid)
{
	pid_t self = getpid();

	if (drop_all(uid, gid) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    write(0, &self, sizeof(self)) != sizeof(self))
		_exit(1);
	await_end();
	_exit(0);
}

static void be_helper(int channel, int ns_fd, uint32_t uid, uint32_t gid)
{
	sigset_t none;
	pid_t child;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    setns(ns_fd, CLONE_NEWPID) < 0)
		_exit(1);
	hold_only(channel);
	child = fork();
	if (child == 0)
		be_witness(uid, gid);
	/* With it ends the channel, also if it has said nothing. */
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(0);
}

int witness_have(struct witness *w, int job_proc_fd, uint32_t uid, uint32_t gid,
		 struct err *err)
{
	auto_close int ns_fd = -EBADF;
	int ends[2];

	if (w->helper && w->uid == uid && w->gid == gid)
		return 0;
	witness_done(w);
	ns_fd = openat(job_proc_fd, "ns/pid", O_RDONLY | O_CLOEXEC);
	if (ns_fd < 0)
		return err_sys(err, "its pid namespace");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "witness: socketpair");
	w->helper = fork();
	if (w->helper == 0) {
		close(ends[0]);
		be_helper(ends[1], ns_fd, uid, gid);
	}
	close(ends[1]);
	if (w->helper < 0) {
		close(ends[0]);
		w->helper = 0;
		return err_sys(err, "witness: fork");
	}
	w->channel = ends[0];
	w->uid = uid;
	w->gid = gid;
	if (read(ends[0], &w->ns_pid, sizeof(w->ns_pid)) != sizeof(w->ns_pid)) {
		witness_done(w);
		return err_set(err, -EIO, "witness: it did not start");
	}
	return 0;
}

void witness_done(struct witness *w)
{
	if (!w->helper)
		return;
	close(w->channel);
	while (waitpid(w->helper, NULL, 0) < 0 && errno == EINTR)
		;
	w->helper = 0;
}
