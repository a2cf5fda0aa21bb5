/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A job that takes too long is given up, and others of its user with it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

int main(void)
{
	unsigned int *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	log_init("bounded", LOG_LEVEL_ERROR);
	if (geteuid() != 0)
		skip_all("needs root, to make directories of users");
	if (n == MAP_FAILED || !mkdtemp(store) || chdir(store) < 0 ||
	    mkdir("c", 0755) < 0 || !make("c/1", ALICE) ||
	    !make("c/2", ALICE) || !make("c/3", BOB))
		skip_all("no directories");
	test_bounds(n);
	(void)rmdir("c/1");
	(void)rmdir("c/2");
	(void)rmdir("c/3");
	(void)rmdir("c");
	(void)rmdir(store);
	return done_testing();
}
