/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks: is it still who it was, and where are we? */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
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

/* A process that has these ids when the caller returns; it ends with us. */
static pid_t with_ids(uid_t real, uid_t effective)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setresuid(real, effective, 0) == 0)
			(void)!write(ready[1], "r", 1);
		close(ready[1]);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		diag("no process with ids %u %u", real, effective);
	close(ready[0]);
	return pid;
}

/* A set-user-ID program: the socket says what it is effectively. */
static void test_acting(void)
{
	struct caller who = { .uid = 2, .pid = with_ids(1, 2), .pidfd = -1 };
	struct caller_rights rights;
	struct err err = { 0 };
	int r = caller_check(&who, "here", &rights, &err);

	ok(r == 0, "who acts as another user is that one: %s", err.text);
	who.uid = 1;
	r = caller_check(&who, "here", &rights, &err);
	ok(r == -EACCES && strstr(err.text, "has gone"),
	   "and not who started it: %s", err.text);
	kill(who.pid, SIGKILL);
	(void)waitpid(who.pid, NULL, 0);
}

/* What may be lost: nothing, one, and all that the kernel has or may get. */
static uint64_t rights_without(uint64_t lost, bool *ret_no_new_privs)
{
	struct caller_rights rights = { 0 };
	struct err err = { 0 };
	int ready[2], go[2];
	struct caller who = { .uid = 0, .pidfd = -1 };
	char c = 0;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return 0;
	who.pid = fork();
	if (who.pid == 0) {
		close(go[1]);
		for (int cap = 0; cap < 64; cap++)
			if (lost >> cap & 1)
				(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (lost)
			(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		(void)!write(ready[1], "r", 1);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	(void)!read(ready[0], &c, 1);
	if (caller_check(&who, "here", &rights, &err) < 0)
		diag("%s", err.text);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	(void)waitpid(who.pid, NULL, 0);
	*ret_no_new_privs = rights.no_new_privs;
	return rights.dropped_caps;
}

static void test_rights(void)
{
	const uint64_t one = 1ull << CAP_NET_RAW;
	bool before = false, nnp = false;
	uint64_t none = rights_without(0, &before);

	ok(none >> 63 && !(none & one) && !before,
	   "capabilities that no kernel has are lost: %#llx",
	   (unsigned long long)none);
	ok(rights_without(one, &nnp) == (none | one) && nnp,
	   "one that was dropped is, too, and no_new_privs is seen");
	ok(rights_without(UINT64_MAX, &nnp) == UINT64_MAX, "and all of them");
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
	if (getuid() == 0) {
		test_acting();
		test_rights();
	} else
		diag("needs root, to be another user: the rest");
	return done_testing();
}
