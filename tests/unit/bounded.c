/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job that takes too long is given up, and others of its user with it; nobody
 * is for what is not theirs.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/bounded.h"
#include "tests/lib/tap.h"
#include "util/clock.h"
#include "util/log.h"

#define ALICE 65534
#define BOB   52001

static char store[] = "/tmp/jobcr-bounded.XXXXXX";
static const struct conf conf = { .cluster = (char *)"c", .store_dir = store };

static void add(void *arg)
{
	++*(unsigned int *)arg;
}

static void hang(void *arg)
{
	add(arg);
	for (;;)
		pause();
}

static void crash(void *arg)
{
	add(arg);
	raise(SIGKILL);
}

static bool make(const char *name, uid_t uid)
{
	return mkdir(name, 0700) == 0 && chown(name, uid, uid) == 0;
}

static void test_bounds(unsigned int *n)
{
	struct bounded b = { .limit_s = 1 };
	uint64_t began = clock_monotonic_ns();

	bounded_run(&b, &conf, "c", "1", add, n);
	ok(*n == 1, "it is done about a job");
	bounded_run(&b, &conf, "c", "1", hang, n);
	ok(*n == 2 && clock_monotonic_ns() - began < 20 * NSEC_PER_SEC,
	   "one that does not end is ended");
	bounded_run(&b, &conf, "c", "2", add, n);
	ok(*n == 2, "another one of that user is passed over");
	bounded_run(&b, &conf, "c", "3", add, n);
	ok(*n == 3, "one of another user is not");
	bounded_run(&b, &conf, "c", "4", add, n);
	ok(*n == 3, "nor is there one without a directory");
	bounded_run(&b, &conf, "c", "3", crash, n);
	bounded_run(&b, &conf, "c", "3", add, n);
	ok(*n == 4, "one that was killed has found nothing");
	bounded_done(&b);
	bounded_run(&b, &conf, "c", "2", add, n);
	ok(*n == 5, "the next time all have their turn");
	bounded_done(&b);
}

/* A user of no process; ones of root have no limit. */
static void test_no_process(unsigned int *n)
{
	const struct rlimit none = { 0, 0 };
	struct bounded b = { .limit_s = 1 };
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setrlimit(RLIMIT_NPROC, &none) < 0 || setgid(BOB) < 0 ||
		    setuid(BOB) < 0)
			_exit(2);
		bounded_run(&b, &conf, "c", "1", add, n);
		_exit(b.count != 0);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "that there are no more processes is no user's fault (%x)",
	   (unsigned int)status);
}

/* On a job's directory; in a namespace of our own. */
static void test_mounted(unsigned int *n)
{
	const unsigned int before = *n;
	struct bounded b = { .limit_s = 1 };

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "c/1", "tmpfs", 0, "uid=52001") < 0) {
		skip("nothing can be mounted here");
		return;
	}
	bounded_run(&b, &conf, "c", "1", add, n);
	ok(*n == before, "what is mounted there is not entered");
	ok(b.count == 0, "and nobody blamed whom it says it is");
	bounded_run(&b, &conf, "c", "3", add, n);
	ok(*n == before + 1, "that user's own jobs have their turn");
	umount2("c/1", MNT_DETACH);
}

static void test_link(unsigned int *n)
{
	const unsigned int before = *n;
	struct bounded b = { .limit_s = 1 };

	if (symlink("1", "c/5") < 0) {
		skip("no link");
		return;
	}
	bounded_run(&b, &conf, "c", "5", add, n);
	ok(*n == before, "a link is not followed");
	unlink("c/5");
}

int main(void)
{
	unsigned int *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	log_init("bounded", LOG_LEVEL_ERROR);
	if (geteuid() != 0)
		skip_all("needs root, to make directories of users");
	if (n == MAP_FAILED || !mkdtemp(store) || chdir(store) < 0 ||
	    chmod(".", 0755) < 0 || mkdir("c", 0755) < 0 ||
	    !make("c/1", ALICE) || !make("c/2", ALICE) || !make("c/3", BOB))
		skip_all("no directories");
	test_bounds(n);
	test_no_process(n);
	test_link(n);
	test_mounted(n);
	(void)rmdir("c/1");
	(void)rmdir("c/2");
	(void)rmdir("c/3");
	(void)rmdir("c");
	(void)rmdir(store);
	return done_testing();
}
