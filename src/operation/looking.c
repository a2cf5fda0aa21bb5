/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/looking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define PATIENCE (10 * NSEC_PER_SEC)

/* false: nothing has happened to it in time. */
static bool await_end(int fd)
{
	const uint64_t until = clock_monotonic_ns() + PATIENCE;
	struct pollfd p = { .fd = fd };
	uint64_t now;

	/* POLLHUP is always told of: its other end has gone with the child. */
	while ((now = clock_monotonic_ns()) < until)
		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) > 0)
			return true;
	return false;
}

int looking(int (*look)(void *arg, struct err *err), void *arg,
	    const char *store, struct err *err)
{
	auto_close int end = -EBADF;
	bool answered;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	end = ends[0];
	pid = fork();
	if (pid == 0) {
		(void)look(arg, err);
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0)
		return err_sys(err, "fork");
	answered = await_end(end);
	/* One that is held there ends when the store comes back. */
	kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, answered ? 0 : WNOHANG);
	if (!answered)
		return err_set(err, -ETIMEDOUT,
			       "%s does not answer: see to its file system",
			       store);
	return look(arg, err);
}
