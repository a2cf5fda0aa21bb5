/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot is to be kept in the very moment in which it is retired: either
 * it is, or whoever wanted it is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storage/ended.h"
#include "storage/in_use.h"
#include "storage/store.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

/* What happens around the rename of "from", once. */
static struct moment {
	const char *from;
	int job_fd;
	bool before, after; /* generation 1 is to be kept */
	bool dies;
	int said;
} moment;

static void keep_it(void)
{
	struct err err = { 0 };

	moment.said = store_keep(moment.job_fd, 1, true, NULL, &err);
}

static int rename_in_moment(int from_fd, const char *from, int to_fd,
			    const char *to, unsigned int flags)
{
	struct moment now = moment;
	int r;

	if (!moment.from || strcmp(moment.from, from) != 0)
		return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to,
				    flags);
	moment.from = NULL;
	if (now.before)
		keep_it();
	r = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
	if (now.after)
		keep_it();
	if (now.dies)
		_exit(0);
	return r;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return rename_in_moment(from_fd, from, to_fd, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
	      unsigned int flags)
{
	return rename_in_moment(from_fd, from, to_fd, to, flags);
}

static int open_job(const char *store, const char *job)
{
	struct err err = { 0 };
	int fd = -1;

	return store_open_job(store, "c", job, false, NULL, &fd, &err) < 0 ? -1
									   : fd;
}

static int make_job(const char *store, const char *job, unsigned int count)
{
	struct err err = { 0 };
	uint32_t number;
	int fd = -1;

	if (store_open_job(store, "c", job, true, NULL, &fd, &err) < 0)
		return -1;
	while (count--) {
		auto_close int dir_fd = -EBADF;

		if (store_begin(fd, NULL, &number, &dir_fd, &err) < 0 ||
		    store_publish(fd, number, dir_fd, "m", 1, NULL, &err) < 0)
			diag("%s", err.text);
	}
	return fd;
}

static bool is_there(int job_fd)
{
	return faccessat(job_fd, "0000000001/manifest", F_OK, 0) == 0;
}

static void test_before(const char *store)
{
	auto_close int fd = make_job(store, "1", 3);
	struct err err = { 0 };

	moment = (struct moment){
		.from = "0000000001", .job_fd = fd, .before = true, .said = 1
	};
	ok(store_retire(fd, 2, NULL, &err) == 0 && moment.said == 0,
	   "one is kept just before its name goes: %s", err.text);
	ok(is_there(fd), "and is there");
}

static void test_after(const char *store)
{
	auto_close int fd = make_job(store, "2", 3);
	struct err err = { 0 };

	moment = (struct moment){
		.from = "0000000001", .job_fd = fd, .after = true, .said = 1
	};
	ok(store_retire(fd, 2, NULL, &err) == 0 && moment.said == -ENOENT,
	   "just after that it cannot be kept any more: %d", moment.said);
	ok(!is_there(fd) && faccessat(fd, "0000000001.new", F_OK, 0) < 0,
	   "and goes");
}

/* Its directory was opened before, and is found to be kept after that. */
static void die_between(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = { 0 };

		moment = (struct moment){ .from = "0000000001",
					  .job_fd = fd,
					  .before = true,
					  .dies = true };
		(void)store_retire(fd, 2, NULL, &err);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void test_dead(const char *store)
{
	const struct timespec old[2] = { { .tv_sec = time(NULL) - 1000 },
					 { .tv_sec = time(NULL) - 1000 } };
	auto_close int fd = make_job(store, "3", 3);
	unsigned int count = 9;
	struct err err = { 0 };
	uint32_t removed;
	bool kept = false;

	die_between(fd);
	ok(!is_there(fd) && store_keeps(fd, NULL, &kept, &err) == 0 && kept,
	   "a retirement that dies there has not lost it");
	ok(store_retire(fd, 2, NULL, &err) == 0 && is_there(fd),
	   "the next one gives its name back: %s", err.text);
	(void)store_keep(fd, 1, false, NULL, &err);
	die_between(fd);
	ok(!is_there(fd) &&
		   store_tidy(fd, NULL, 500, NULL, &count, &err) == 0 &&
		   !is_there(fd) && count == 0,
	   "it may be at it still");
	utimensat(fd, "0000000001.new/manifest", old, 0);
	utimensat(fd, "0000000001.new/kept", old, 0);
	utimensat(fd, "0000000001.new", old, 0);
	ok(store_tidy(fd, NULL, 500, NULL, &count, &err) == 0 && is_there(fd),
	   "after a while whoever tidies up does: %s", err.text);
	ok(store_empty(fd, false, NULL, &removed, &err) == 0 && removed == 3,
	   "all can be removed: %u", removed);
}

static void test_job(const char *store, const struct user_id *user)
{
	const struct ended_mark mark = { .state = "FAILED", .at_ns = 77 };
	auto_close int fd = make_job(store, "4", 1), again = -EBADF;
	struct err err = { 0 };
	struct ended_mark out;

	ok(ended_write(fd, user, &mark, &err) == 0 &&
		   ended_claim(fd, user, &err) == 0,
	   "all of a job is to go");
	moment = (struct moment){
		.from = "4", .job_fd = fd, .before = true, .said = 1
	};
	ok(ended_retire(store, "c", "4", user, &err) == -EBUSY &&
		   moment.said == 0,
	   "one is kept in that moment: %s", err.text);
	again = open_job(store, "4");
	ok(again >= 0 && is_there(again) && open_job(store, "4.retired") < 0,
	   "it stays, as the job");
	ok(ended_clear(fd, user, &err) == 0 &&
		   ended_read(fd, user, &out, &err) == -ENOENT,
	   "which may start again: %s", err.text);
	ok(ended_write(fd, user, &mark, &err) == 0 &&
		   ended_claim(fd, user, &err) == 0 &&
		   store_rename_job(store, "c", "4", "4.retired", NULL, &err) ==
			   0 &&
		   ended_take_back(store, "c", "4", fd, user, &err) == 0,
	   "also when who began it has died: %s", err.text);
	cleanup_close(&again);
	again = make_job(store, "5", 1);
	ok(ended_write(again, user, &mark, &err) == 0 &&
		   ended_claim(again, user, &err) == 0 &&
		   store_rename_job(store, "c", "4", "5.retired", NULL, &err) ==
			   0 &&
		   ended_retire(store, "c", "5", user, &err) == -EBUSY,
	   "nor is a kept one replaced: %s", err.text);
	ok(is_there(fd) && is_there(again), "neither went");
}

/* Who reads one is left alone, but by who has to remove it. */
static void test_read(const char *store)
{
	auto_close int fd = make_job(store, "6", 3), dir_fd = -EBADF;
	auto_close int read_fd = -EBADF, other_fd = -EBADF;
	struct err err = { 0 };
	uint32_t removed;

	ok(store_open(fd, 1, NULL, &dir_fd, &err) == 0 &&
		   in_use_enter(dir_fd, NULL, &read_fd, &err) == 0 &&
		   in_use_enter(dir_fd, NULL, &other_fd, &err) == 0 &&
		   read_fd >= 0 && other_fd >= 0,
	   "two read it: %s", err.text);
	close(take_fd(&other_fd));
	ok(store_retire(fd, 2, NULL, &err) == 0 && is_there(fd),
	   "it is not retired: %s", err.text);
	ok(store_remove(fd, 1, NULL, &err) == -EBUSY && is_there(fd),
	   "nor removed: %s", err.text);
	ok(store_empty(fd, false, NULL, &removed, &err) == -EBUSY &&
		   removed == 2 && is_there(fd),
	   "nor with all others: %u, %s", removed, err.text);
	ok(in_use_blame(dir_fd, NULL, -EBADMSG, &err) == -EBADMSG,
	   "what is wrong with it is damage");
	ok(store_discard(fd, 1, NULL, &err) == 0 && !is_there(fd),
	   "but it can be");
	ok(in_use_blame(dir_fd, NULL, -EBADMSG, &err) == -ENOENT,
	   "what is wrong with it then is not: %s", err.text);
	ok(in_use_enter(dir_fd, NULL, &other_fd, &err) == -ENOENT,
	   "nobody else begins: %s", err.text);
}

/* A user who never lets go. */
static void test_stubborn(const char *store)
{
	auto_close int fd = make_job(store, "7", 3), dir_fd = -EBADF;
	auto_close int lock_fd = -EBADF, read_fd = -EBADF;
	struct err err = { 0 };

	lock_fd = openat(fd, "0000000001/manifest", O_RDONLY | O_CLOEXEC);
	ok(flock(lock_fd, LOCK_EX) == 0 &&
		   store_open(fd, 1, NULL, &dir_fd, &err) == 0 &&
		   in_use_enter(dir_fd, NULL, &read_fd, &err) == 0 &&
		   read_fd < 0,
	   "who has it alone keeps nobody from reading: %s", err.text);
	ok(store_retire(fd, 2, NULL, &err) == 0 && is_there(fd),
	   "and keeps what is his");
	close(take_fd(&lock_fd));
	ok(store_retire(fd, 2, NULL, &err) == 0 && !is_there(fd),
	   "until he lets go");
}

int main(void)
{
	struct user_id user = { 0 };
	struct err err = { 0 };
	char base[64];
	int dir_fd = temp_dir(base);

	if (dir_fd < 0 || user_id_load(geteuid(), getegid(), &user, &err) < 0)
		return 1;
	test_before(base);
	test_after(base);
	test_dead(base);
	test_job(base, &user);
	test_read(base);
	test_stubborn(base);
	user_id_done(&user);
	close(dir_fd);
	temp_dir_remove(base);
	return done_testing();
}
