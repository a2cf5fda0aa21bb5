/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots of a job that has ended go, unless it starts again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/ended.h"
#include "storage/history.h"
#include "storage/store.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static struct user_id user;
static char dir[] = "/tmp/jobcr-ended.XXXXXX";

static int open_job(const char *job, bool create)
{
	struct err err = { 0 };
	int fd = -1;

	(void)store_open_job(dir, "c", job, create, &user, &fd, &err);
	return fd;
}

static void make_snapshot(int job_fd)
{
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	uint32_t number;

	ok(store_begin(job_fd, &user, &number, &fd, &err) == 0 &&
		   store_publish(job_fd, number, fd, "m", 1, &user, &err) == 0,
	   "a snapshot is there: %s", err.text);
}

static void test_mark(int fd)
{
	struct ended_mark in = { .state = "FAILED", .at_ns = 77 }, out;
	struct err err = { 0 };
	int raw;

	ok(ended_read(fd, &user, &out, &err) == -ENOENT, "no mark yet");
	ok(ended_claim(fd, &user, &err) == -ENOENT, "nothing to retire");
	ok(ended_clear(fd, &user, &err) == 0, "nothing to clear");
	ok(ended_write(fd, &user, &in, &err) == 0 &&
		   ended_read(fd, &user, &out, &err) == 0 && out.at_ns == 77 &&
		   !strcmp(out.state, "FAILED"),
	   "a mark is read as it was written: %s", err.text);
	ok(ended_clear(fd, &user, &err) == 0 &&
		   ended_claim(fd, &user, &err) == -ENOENT,
	   "a job that starts again is not retired");
	raw = openat(fd, "ended", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)!fchown(raw, user.uid, user.gid);
	ok(write(raw, "1 \033[2J", 6) == 6 &&
		   ended_read(fd, &user, &out, &err) == -EBADMSG,
	   "what is not a mark is none");
	close(raw);
	ok(ended_write(fd, &user, &in, &err) == 0 &&
		   ended_claim(fd, &user, &err) == 0 &&
		   ended_claim(fd, &user, &err) == 0,
	   "retiring can be taken up again");
	ok(ended_clear(fd, &user, &err) == -EBUSY,
	   "a job that starts again meanwhile is told");
	ok(ended_read(fd, &user, &out, &err) == 0, "it is still due");
}

static void test_retire(void)
{
	struct history_event e = { .node = "n", .kind = "k" };
	auto_close int fd = open_job("7", true), old = -EBADF;
	struct err err = { 0 };
	uint32_t number;
	char path[256];

	make_snapshot(fd);
	make_snapshot(fd);
	(void)history_append(fd, &user, &e, &err);
	ok(ended_retire(dir, "c", "7", &user, &err) == 0, "retired: %s",
	   err.text);
	ok(open_job("7", false) < 0, "its name is free for another run");
	old = open_job("7.retired", false);
	ok(old >= 0 && store_newest(old, &user, &number, &err) == -ENOENT,
	   "there is no snapshot any more");
	ok(old >= 0 && faccessat(old, "history", F_OK, 0) == 0,
	   "but its history");
	close(fd);
	fd = open_job("7", true);
	make_snapshot(fd);
	ok(ended_retire(dir, "c", "7", &user, &err) == 0,
	   "a second run is retired in the place of the first: %s", err.text);
	ok(store_remove_job(dir, "c", "7.retired", &user, &err) == 0,
	   "what is left can be removed: %s", err.text);
	snprintf(path, sizeof(path), "%s/c", dir);
	ok(rmdir(path) == 0, "then nothing is left");
}

/* Whoever writes a generation keeps it. */
static void test_in_use(void)
{
	auto_close int fd = open_job("8", true), busy = -EBADF;
	struct err err = { 0 };
	uint32_t number, count = 9;

	make_snapshot(fd);
	ok(store_begin(fd, &user, &number, &busy, &err) == 0, "one is begun");
	ok(store_empty(fd, false, &user, &count, &err) == 0 && count == 1,
	   "one whole snapshot is removed");
	ok(store_publish(fd, number, busy, "m", 1, &user, &err) == 0,
	   "the one under way is not: %s", err.text);
	ok(store_empty(fd, false, &user, &count, &err) == 0 && count == 1,
	   "afterwards it is");
	close(take_fd(&busy));
	ok(store_remove_job(dir, "c", "8", &user, &err) == 0,
	   "the rest goes: %s", err.text);
}

int main(void)
{
	struct err err = { 0 };
	auto_close int fd = -EBADF;
	uid_t uid = geteuid() ? geteuid() : 65534;

	if (user_id_load(uid, geteuid() ? getegid() : 65534, &user, &err) < 0 ||
	    !mkdtemp(dir) || chmod(dir, 0755) < 0)
		return 99;
	fd = open_job("6", true);
	test_mark(fd);
	ok(store_remove_job(dir, "c", "6", &user, &err) == 0,
	   "the job's directory goes: %s", err.text);
	test_in_use();
	test_retire();
	ok(rmdir(dir) == 0, "and the store");
	user_id_done(&user);
	return done_testing();
}
