/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * As many of a user's at a time, also of those that the kernel holds though
 * nobody waits for them any more.
 */
#define PLACES   64
#define PLACE_MS 50

struct answer {
	int result;
	struct err err;
};

static int silent(const struct apart *a, struct err *err)
{
	return err_set(err, -ETIMEDOUT,
		       "%s does not answer: see to its file system",
		       a->dir ? a->dir : a->conf->store_dir);
}

static bool left(const struct apart *a, int timeout_ms)
{
	struct pollfd p = { .fd = a->peer_fd, .events = POLLRDHUP };

	return poll(&p, 1, timeout_ms) > 0;
}

/*
 * A lock that ends with the last process that has it, at the end of which the
 * kernel may hold it.  1: one was free.
 */
static int take_place(int fd, uid_t uid)
{
	for (int i = 0; i < PLACES; i++) {
		struct flock lock = { .l_type = F_WRLCK,
				      .l_whence = SEEK_SET,
				      .l_start = (off_t)uid * PLACES + i,
				      .l_len = 1 };

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return 1;
	}
	return 0;
}

/* Without a run directory there are no requests that could be many. */
static int enter(const struct apart *a, int *ret, struct err *err)
{
	const uint64_t until = clock_monotonic_ns() + APART_S * NSEC_PER_SEC;
	auto_close int fd = -EBADF;
	char path[512];

	snprintf(path, sizeof(path), "%s/apart", a->conf->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (fd >= 0 && !take_place(fd, a->uid)) {
		if (left(a, PLACE_MS))
			return err_set(err, -EPIPE, "hung up");
		if (clock_monotonic_ns() >= until)
			return silent(a, err);
	}
	*ret = take_fd(&fd);
	return 0;
}

static void do_apart(const struct apart *a, int result_fd, int place_fd,
		     int (*fn)(void *arg, struct err *err), void *arg)
	__attribute__((noreturn));
static void do_apart(const struct apart *a, int result_fd, int place_fd,
		     int (*fn)(void *arg, struct err *err), void *arg)
{
	const int fds[] = { result_fd, place_fd };
	struct answer answer = { 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high[2];

	for (int i = 0; i < 2; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 8);
	for (int i = 0; i < 2; i++) {
		dup2(null, i);
		if (high[i] < 0 || dup3(high[i], 3 + i, O_CLOEXEC) < 0)
			close(3 + i);
	}
	syscall(SYS_close_range, 5, ~0u, 0);
	signal(SIGALRM, SIG_DFL);
	alarm(a->limit_s ? a->limit_s : APART_S);
	answer.result = fn(arg, &answer.err);
	(void)!write(3, &answer, sizeof(answer));
	_exit(0);
}

/* What it says comes as a whole, or with its end nothing. */
static int await(const struct apart *a, int fd, uint64_t until, struct err *err)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN },
			      { .fd = a->peer_fd, .events = POLLRDHUP } };
	struct answer answer;
	uint64_t now;

	for (;;) {
		now = clock_monotonic_ns();
		if (now >= until)
			return silent(a, err);
		if (poll(p, 2, (int)((until - now) / 1000000) + 1) <= 0)
			continue;
		if (p[0].revents)
			break;
		return err_set(err, -EPIPE, "hung up");
	}
	if (read(fd, &answer, sizeof(answer)) != sizeof(answer))
		return clock_monotonic_ns() + NSEC_PER_SEC >= until
			       ? silent(a, err)
			       : err_set(err, -EIO,
					 "the process at it was killed");
	if (answer.result < 0)
		*err = answer.err;
	return answer.result;
}

int apart_run(const struct apart *a, int (*fn)(void *arg, struct err *err),
	      void *arg, struct err *err)
{
	const uint64_t limit_s = a->limit_s ? a->limit_s : APART_S;
	uint64_t until;
	auto_close int place = -EBADF;
	auto_close int end = -EBADF;
	int ends[2], r;
	pid_t pid;

	r = enter(a, &place, err);
	if (r < 0)
		return r;
	until = clock_monotonic_ns() + limit_s * NSEC_PER_SEC;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	end = ends[0];
	pid = fork();
	if (pid == 0)
		do_apart(a, ends[1], place, fn, arg);
	close(ends[1]);
	if (pid < 0)
		return err_sys(err, "fork");
	r = await(a, end, until, err);
	/* One that is held there ends when the store comes back. */
	if (r == -ETIMEDOUT)
		kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, r == -ETIMEDOUT || r == -EPIPE ? WNOHANG : 0);
	return r;
}

int apart_look(const struct apart *a, int (*fn)(void *arg, struct err *err),
	       void *arg, struct err *err)
{
	int r = apart_run(a, fn, arg, err);

	return r == -ETIMEDOUT || r == -EPIPE ? r : fn(arg, err);
}
