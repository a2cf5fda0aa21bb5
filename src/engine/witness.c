// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Only a child of who enters a pid namespace is in it: a helper enters, and
 * stays to end the witness and to reap it, so that the job's init never does.
 * The helper also traces it: it has our memory no more after an exec, and
 * stands still before the first instruction of what it executed.  So nobody
 * else can trace it, and although it has the ids of a user, who may write into
 * its memory, nothing of his ever runs in it.
 */
#include "engine/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

enum { CHANNEL, PROGRAM }; /* descriptors of helper and witness */

/* Both are said over the channel, in this order. */
struct said {
	pid_t ns_pid;
	int32_t ready;
};

/* Also what it was forked with: pipes of the job would stay open in it. */
static void hold_only(int channel, int program)
{
	const int high = fcntl(program, F_DUPFD_CLOEXEC, PROGRAM + 1);

	if (high < 0 || dup3(channel, CHANNEL, O_CLOEXEC) < 0 ||
	    dup3(high, PROGRAM, O_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, PROGRAM + 1u, UINT32_MAX, 0) < 0)
		_exit(1);
}

/* For good: an exec gives root nothing back. */
static int drop_all(uint32_t uid, uint32_t gid)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}

/* What it executes does not matter, as it never runs. */
static void be_witness(uint32_t uid, uint32_t gid)
{
	struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY };
	char *nothing[] = { NULL };
	pid_t self = getpid();

	/* Who has more processes than that could not exec. */
	if (setrlimit(RLIMIT_NPROC, &most) < 0 &&
	    getrlimit(RLIMIT_NPROC, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		(void)setrlimit(RLIMIT_NPROC, &most);
	}
	if (write(CHANNEL, &self, sizeof(self)) == sizeof(self) &&
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 &&
	    kill(self, SIGSTOP) == 0 && drop_all(uid, gid) == 0 &&
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		(void)fexecve(PROGRAM, nothing, nothing);
	_exit(1);
}

/* It is reaped by nobody before it is killed: the number stays its own. */
static bool stands_at(pid_t child, int why)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)child, &info,
		      WEXITED | WSTOPPED | WNOWAIT | __WALL) < 0)
		if (errno != EINTR)
			return false;
	return info.si_code == CLD_TRAPPED && info.si_status == why;
}

/* From its stop on it dies with us. */
static bool led_to_exec(pid_t child)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC;

	return stands_at(child, SIGSTOP) &&
	       ptrace(PTRACE_SETOPTIONS, child, NULL, options) == 0 &&
	       ptrace(PTRACE_CONT, child, NULL, NULL) == 0 &&
	       stands_at(child, SIGTRAP | PTRACE_EVENT_EXEC << 8);
}

/* A program that its user may not read would: its files are root's then. */
static bool hides_nothing(pid_t child, uint32_t uid)
{
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", child);
	return stat(path, &st) == 0 && st.st_uid == uid;
}

/* Until whoever wants a witness closes its end, or dies. */
static void await_end(void)
{
	char c;

	while (read(CHANNEL, &c, 1) < 0 && errno == EINTR)
		;
}

/* Also where somebody follows us with strace: one has one tracer only. */
static pid_t fork_untraced(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, NULL, NULL,
			      NULL, NULL);
}

static void be_helper(int channel, int program, int ns_fd, uint32_t uid,
		      uint32_t gid)
{
	const int32_t ready = 1;
	sigset_t none;
	pid_t child;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    setns(ns_fd, CLONE_NEWPID) < 0)
		_exit(1);
	hold_only(channel, program);
	child = fork_untraced();
	if (child == 0)
		be_witness(uid, gid);
	if (child < 0)
		_exit(1);
	if (led_to_exec(child) && hides_nothing(child, uid) &&
	    write(CHANNEL, &ready, sizeof(ready)) == sizeof(ready))
		await_end();
	(void)kill(child, SIGKILL);
	while (waitpid(child, NULL, __WALL) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* All of what is said, or nothing: then it is over with the helper. */
static bool hear(int channel, pid_t *ret_ns_pid)
{
	struct err unused;
	struct said said;

	if (read_all(channel, &said, sizeof(said), &unused) < 0)
		return false;
	*ret_ns_pid = said.ns_pid;
	return true;
}

int witness_have(struct witness *w, int job_proc_fd, uint32_t uid, uint32_t gid,
		 struct err *err)
{
	auto_close int ns_fd = -EBADF, program = -EBADF;
	int ends[2];

	if (w->helper && w->uid == uid && w->gid == gid)
		return 0;
	witness_done(w);
	ns_fd = openat(job_proc_fd, "ns/pid", O_RDONLY | O_CLOEXEC);
	if (ns_fd < 0)
		return err_sys(err, "its pid namespace");
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (program < 0)
		return err_sys(err, "/proc/self/exe");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "witness: socketpair");
	w->helper = fork();
	if (w->helper == 0) {
		close(ends[0]);
		be_helper(ends[1], program, ns_fd, uid, gid);
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
	if (!hear(ends[0], &w->ns_pid)) {
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
