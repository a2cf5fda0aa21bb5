/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/looking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PATIENCE_MS 10000

/* How the look went, before anything is told. */
struct outcome {
	int result;
	char text[sizeof(((struct err *)0)->text)];
};

static void be_child(const struct looking *l, int fd) __attribute__((noreturn));
static void be_child(const struct looking *l, int fd)
{
	struct outcome o = { 0 };
	struct err err = { 0 };
	int r;

	o.result = l->look(l->arg, &err);
	(void)snprintf(o.text, sizeof(o.text), "%s", err.text);
	r = write_all(fd, &o, sizeof(o), &err);
	if (r == 0 && o.result >= 0 && l->tell)
		r = l->tell(l->arg, &err);
	_exit(r < 0);
}

/* false: it has not come in time. */
static bool await_outcome(int fd, struct outcome *ret, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return false;
	if (r < 0 || read_all(fd, ret, sizeof(*ret), err) < 0)
		*ret = (struct outcome){ -ECHILD,
					 "a look into the store died" };
	return true;
}

static int await_end(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPIPE;
}

int looking(const struct looking *l, struct err *err)
{
	auto_close int from = -EBADF;
	struct outcome o = { 0 };
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	from = ends[0];
	pid = fork();
	if (pid == 0)
		be_child(l, ends[1]);
	close(ends[1]);
	if (pid < 0)
		return err_sys(err, "fork");
	if (!await_outcome(from, &o, err)) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, WNOHANG);
		return err_set(err, -ETIMEDOUT,
			       "%s does not answer: see to its file system",
			       l->store);
	}
	r = await_end(pid);
	if (o.result < 0)
		return err_set(err, o.result, "%s", o.text);
	return r < 0 ? err_set(err, r, "the answer was not sent") : 0;
}
