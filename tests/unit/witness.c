/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who asks for a witness while a job stands still gets one or an error, also
 * when it ends before it has said a word.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/witness.h"
#include "tests/lib/fail_call.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define NOBODY  65534
#define PATIENT 20 /* seconds */

static char *secret; /* in our memory */

static int be_user(void)
{
	return setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	       setresuid(NOBODY, NOBODY, NOBODY) < 0;
}

static int is_seen(pid_t pid)
{
	void *head;
	size_t len;

	return be_user() || syscall(SYS_get_robust_list, pid, &head, &len) < 0;
}

/* By root that has given up its rights: its own must not be more. */
static int is_seen_by_root(pid_t pid)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { { 0 } };
	void *at;
	size_t len;

	return syscall(SYS_capset, &head, none) < 0 ||
	       syscall(SYS_get_robust_list, pid, &at, &len) < 0;
}

/* What its user may do: trace it, read what was ours, hold it up, kill it. */
static int is_traced(pid_t pid)
{
	return be_user() || ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0;
}

static int is_read(pid_t pid)
{
	struct iovec own = { &(char){ 0 }, 1 }, its = { secret, 1 };

	return be_user() || process_vm_readv(pid, &own, 1, &its, 1, 0) < 0;
}

static int is_stopped(pid_t pid)
{
	return be_user() || kill(pid, SIGSTOP) < 0;
}

static int is_killed(pid_t pid)
{
	return be_user() || kill(pid, SIGKILL) < 0;
}

/* In a process that is killed if it waits for too long; its answer. */
static int ask(bool may, uid_t uid, int (*check)(pid_t ns_pid))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		auto_close int fd = open("/proc/self", O_PATH | O_CLOEXEC);
		struct witness w = { 0 };
		struct err err;
		int r;

		(void)alarm(PATIENT);
		/* It cannot drop its rights then, and gives up. */
		if (!may && !fail_call(SYS_capset, EPERM))
			_exit(2);
		r = witness_have(&w, fd, uid, uid, &err);
		r = r < 0 ? 1 : check ? check(w.ns_pid) : kill(w.ns_pid, 0);
		witness_done(&w);
		_exit(r);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Of a user with more processes than we may have. */
static int crowded(void)
{
	struct rlimit before, few;
	pid_t pids[3];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)be_user();
			for (;;)
				(void)pause();
		}
	}
	(void)getrlimit(RLIMIT_NPROC, &before);
	few = before;
	few.rlim_cur = 1;
	(void)setrlimit(RLIMIT_NPROC, &few);
	r = ask(true, NOBODY, NULL);
	(void)setrlimit(RLIMIT_NPROC, &before);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	return r;
}

static void ignore(int sig)
{
	(void)sig;
}

/* While others have something to say to us, too. */
static int interrupted(void)
{
	const struct sigaction action = { .sa_handler = ignore };
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	auto_close int fd = open("/proc/self", O_PATH | O_CLOEXEC);
	int failed = 0;

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 100; i++) {
		struct witness w = { 0 };
		struct err err;

		failed += witness_have(&w, fd, NOBODY, NOBODY, &err) < 0;
		witness_done(&w);
	}
	(void)setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	return failed;
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("needs root");
	secret = malloc(1);
	ok(ask(true, NOBODY, NULL) == 0, "a witness is had, and is there");
	ok(ask(false, NOBODY, NULL) == 1,
	   "one that gives up is an error, at once");
	ok(ask(true, NOBODY, is_seen) == 0, "its user may look at it");
	ok(ask(true, 0, is_seen_by_root) == 0,
	   "root without rights may look at one of root");
	ok(ask(true, NOBODY, is_traced) == 1, "and may not trace it");
	ok(ask(true, NOBODY, is_read) == 1, "and finds nothing of ours in it");
	ok(ask(true, NOBODY, is_stopped) == 0, "stopping it holds nobody up");
	ok(ask(true, NOBODY, is_killed) == 0, "nor does killing it");
	ok(crowded() == 0, "its user may have many processes");
	ok(interrupted() == 0, "signals are in nobody's way");
	return done_testing();
}
