/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor of a job that Slurm starts again can make no namespaces: the
 * kernel has too many.  It must neither end, which would be the job's end, nor
 * wait for ever, but tell whoever restores the job.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/control.h"
#include "wire/launch.h"

static char dir[] = "/tmp/jobcr-no-spaces.XXXXXX";

static int put(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text)
		       ? 0
		       : -1;
}

/* Limits of a user namespace count for what is made in it. */
static void supervise(int sock, int ready, const char *child)
	__attribute__((noreturn));
static void supervise(int sock, int ready, const char *child)
{
	const char *top = getenv("top_builddir");
	const char *libexec = top ? top : ".";
	char program[4096];

	snprintf(program, sizeof(program), "%s/jobcr-supervisor", libexec);
	if (unshare(CLONE_NEWUSER) < 0 ||
	    put("/proc/self/uid_map", "0 0 1") < 0 ||
	    put("/proc/self/setgroups", "deny") < 0 ||
	    put("/proc/self/gid_map", "0 0 1") < 0 ||
	    put("/proc/sys/user/max_pid_namespaces", "0") < 0 ||
	    write(ready, "", 1) != 1 || dup2(sock, LAUNCH_FD) < 0)
		_exit(1);
	execl(program, "jobcr-supervisor", "--slurm", "7", "--job", "7",
	      "--uid", "0", "--gid", "0", "--run-dir", dir, "--libexec",
	      libexec, "--child", child, "--restore", "1", NULL);
	_exit(1);
}

static int call(uint32_t op, int64_t a, struct control_reply *ret,
		struct err *err)
{
	const struct control_request req = { .op = op, .a = a };
	auto_close int fd = -EBADF;
	int r = control_connect(dir, "7", &fd, err);

	return r < 0 ? r : control_call(fd, &req, ret, NULL, err);
}

static void test(int sock)
{
	struct launch_message m = { LAUNCH_MAGIC, LAUNCH_READY };
	const int stdio[3] = { 1, 1, 1 };
	struct control_reply reply;
	struct err err = { 0 };

	ok(send_fds(sock, &m, sizeof(m), stdio, 3, &err) == 0 &&
		   recv(sock, &m, sizeof(m), 0) == sizeof(m) &&
		   m.kind == LAUNCH_GO,
	   "it takes the job over: %s", err.text);
	ok(call(CONTROL_INFO, 0, &reply, &err) == 0 &&
		   reply.info.state == CONTROL_RESTORING,
	   "it waits for the restore");
	ok(call(CONTROL_SET_TIME, 0, &reply, &err) == -ENOSPC &&
		   strstr(err.text, "namespaces"),
	   "whoever restores is told why that cannot be: %s", err.text);
	ok(call(CONTROL_SPAWN, 2, &reply, &err) == -ENOSPC,
	   "and makes no process outside of them");
	ok(call(CONTROL_ABORT, 1, &reply, &err) == 0, "it is told to end");
}

int main(void)
{
	auto_free char *cmd = NULL;
	int pair[2], ready[2], status = 0;
	char child[16], byte;
	pid_t pid;

	if (getuid() != 0)
		skip_all("needs root");
	if (!mkdtemp(dir) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(ready, O_CLOEXEC) < 0)
		return 1;
	snprintf(child, sizeof(child), "%d", (int)getpid());
	pid = fork();
	if (pid == 0)
		supervise(pair[1], ready[1], child);
	close(pair[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		skip_all("no user namespace with limits of its own");
	test(pair[0]);
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		   WEXITSTATUS(status) == 1,
	   "and does: %x", status);
	if (asprintf(&cmd, "rm -rf '%s'", dir) < 0 || system(cmd))
		return 1;
	return done_testing();
}
