// SPDX-License-Identifier: GPL-2.0-or-later
/* Files are synced by descriptors of our own, many at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/sync.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static int open_files(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void test_many(const char *path)
{
	struct sync_list list = { 0 };
	struct err err = { 0 };
	int first = open_files(), r = 0;

	for (int i = 0; i < 100 && r == 0; i++) {
		auto_close int fd = open(path, O_RDWR | O_CLOEXEC);

		r = write(fd, "x", 1) == 1 ? sync_add(&list, fd, &err) : -EIO;
	}
	ok(r == 0 && list.count == 100, "a hundred files are noted %s",
	   err.text);
	ok(sync_run(&list, &err) == 0, "and synced %s", err.text);
	sync_done(&list);
	ok(open_files() == first, "no descriptor is left");
	ok(sync_run(&list, &err) == 0, "none is no failure");
}

static void test_not_syncable(void)
{
	struct sync_list list = { 0 };
	struct err err = { 0 };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	ok(sync_add(&list, ends[0], &err) == 0 && sync_run(&list, &err) == 0,
	   "what cannot be synced is passed over %s", err.text);
	sync_done(&list);
	close(ends[0]);
	close(ends[1]);
}

/* No number is free: the file is synced at once. */
static void test_no_numbers(const char *path)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	struct sync_list list = { 0 };
	struct rlimit old, none;
	struct err err = { 0 };
	int r;

	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	r = sync_add(&list, fd, &err);
	setrlimit(RLIMIT_NOFILE, &old);
	ok(r == 0 && list.count == 0,
	   "without free numbers it is synced now %s", err.text);
	sync_done(&list);
}

int main(void)
{
	char path[] = "/tmp/jobcr-sync.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		skip_all("no temporary file");
	close(fd);
	test_many(path);
	test_not_syncable();
	test_no_numbers(path);
	unlink(path);
	return done_testing();
}
