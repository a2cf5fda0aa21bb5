/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is removed waits for who writes, but not for ever. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/record.h"
#include "wire/writing.h"

static bool is_noted(const char *dir, bool ended)
{
	struct record_later rec;
	struct err err;

	return record_read(dir, NULL, RECORD_LATER "7", &rec, sizeof(rec),
			   &err) == 0 &&
	       rec.ended == ended && rec.since_mono;
}

static void test_wait(const char *dir)
{
	const uint64_t now = clock_monotonic_ns();
	const uint64_t limit = WRITING_WAIT_S * NSEC_PER_SEC;
	auto_close int one = -EBADF, two = -EBADF;
	struct err err = { 0 };

	ok(writing_may_remove(dir, now), "nobody writes");
	ok(writing_begin(dir, &one, &err) == 0 &&
		   writing_begin(dir, &two, &err) == 0,
	   "two do: %s", err.text);
	close(take_fd(&one));
	ok(!writing_may_remove(dir, now), "one still does");
	ok(now < limit || writing_may_remove(dir, now - limit),
	   "long enough is long enough");
	ok(writing_may_remove(dir, now + limit), "a wish of another boot, too");
	ok(writing_put_off(dir, "7", false) && is_noted(dir, false),
	   "the wish is noted");
	ok(!writing_put_off(dir, "7", false) && !is_noted(dir, false),
	   "the second of a job is done");
	ok(writing_put_off(dir, "7", true) && writing_put_off(dir, "7", true) &&
		   is_noted(dir, true),
	   "that all is to go can wait");
	close(take_fd(&two));
	ok(!writing_put_off(dir, "7", true) && !is_noted(dir, true),
	   "nobody writes any more: it is done");
}

static void test_killed(const char *dir)
{
	const uint64_t now = clock_monotonic_ns();
	struct err err = { 0 };
	int pipe_fds[2], fd;
	char byte;
	pid_t pid;

	if (pipe(pipe_fds) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		(void)writing_begin(dir, &fd, &err);
		(void)!write(pipe_fds[1], "", 1);
		pause();
	}
	ok(read(pipe_fds[0], &byte, 1) == 1 && !writing_may_remove(dir, now),
	   "another process writes");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(writing_may_remove(dir, now), "until it is killed");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_no_room(const char *dir)
{
	const uint64_t now = clock_monotonic_ns();
	auto_close int fd = -EBADF;
	struct err err = { 0 };

	ok(writing_begin(dir, &fd, &err) == 0 && !writing_may_remove(dir, now),
	   "one writes: %s", err.text);
	writing_no_room(dir);
	ok(writing_may_remove(dir, now), "and finds no room");
}

int main(void)
{
	char dir[64];
	int fd = temp_dir(dir);

	if (fd < 0)
		return 1;
	test_wait(dir);
	test_killed(dir);
	test_no_room(dir);
	close(fd);
	temp_dir_remove(dir);
	return done_testing();
}
