/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/silence.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 5000

/* Its other end is closed when the look is over, or whoever looks was ended. */
static void watch(int fd, const char *dir) __attribute__((noreturn));
static void watch(int fd, const char *dir)
{
	struct pollfd p = { .fd = fd };

	if (poll(&p, 1, PATIENCE_MS) == 0)
		dprintf(STDERR_FILENO,
			"jobcr: %s does not answer: see to its file system; "
			"still waiting\n",
			dir);
	_exit(0);
}

struct silence silence_begin(const char *dir)
{
	struct silence s = { .fd = -1 };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return s;
	s.pid = fork();
	if (s.pid == 0) {
		close(ends[1]);
		watch(ends[0], dir);
	}
	close(ends[0]);
	if (s.pid > 0)
		s.fd = ends[1];
	else
		close(ends[1]);
	return s;
}

void silence_end(struct silence *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
