/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks: is it still who it was, and where are we? */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operation/caller.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Of a process that has ended, and been waited for. */
static int ended_pidfd(void)
{
	int fd;
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	fd = open_pidfd(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return fd;
}

int main(void)
{
	auto_close int own = open_pidfd(getpid()), other = ended_pidfd();
	struct caller who = { .uid = getuid(), .pid = getpid(), .pidfd = own };
	struct caller_rights rights;
	struct err err = { 0 };
	int r = caller_check(&who, "here", &rights, &err);

	if (r == -EACCES && strstr(err.text, "seccomp"))
		skip_all("this test runs under a seccomp filter");
	ok(r == 0, "a caller where we are may: %s", err.text);
	ok(rights.have_priority && rights.nice == getpriority(PRIO_PROCESS, 0),
	   "its nice value is known");
	who.pidfd = -1;
	ok(caller_check(&who, "here", &rights, &err) == 0,
	   "also where the kernel gives no pidfd");
	who.pidfd = other;
	r = caller_check(&who, "here", &rights, &err);
	ok(r == -EACCES && strstr(err.text, "has gone"),
	   "one whose number is another's now may not: %s", err.text);
	who.pidfd = own;
	who.uid++;
	r = caller_check(&who, "here", &rights, &err);
	ok(r == -EACCES && strstr(err.text, "has gone"),
	   "nor one whose number is another user's: %s", err.text);
	who = (struct caller){ .uid = 1, .pidfd = -1 };
	r = caller_check(&who, "here", &rights, &err);
	ok(r == -EACCES && strstr(err.text, "node here"),
	   "nor one on another node: %s", err.text);
	who.uid = 0;
	ok(caller_check(&who, "here", &rights, &err) == 0 &&
		   !rights.have_priority,
	   "but root");
	return done_testing();
}
