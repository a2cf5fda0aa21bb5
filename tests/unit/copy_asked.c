// SPDX-License-Identifier: GPL-2.0-or-later
/* Who asks a supervisor for a copy says which thread keeps the job still. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "worker/worker.h"

/* What terminal.c has besides, which nobody here calls. */
int work_control(struct work *w, uint32_t op, int64_t a, int64_t b,
		 struct control_reply *ret, int *ret_fds, struct err *err)
{
	return err_set(err, -ENOSYS, "no supervisor");
}

/* Answers one request with what came along, and ends with what is wrong. */
static int supervise(int sock, uint32_t op, pid_t asks)
{
	struct control_reply reply = { .magic = CONTROL_MAGIC };
	struct control_request req = { 0 };
	auto_close int fd = -EBADF;
	size_t len, count = 1;
	struct err err;

	if (recv_fds(sock, &req, sizeof(req), &len, &fd, &count, &err) < 0 ||
	    count != 1)
		return 1;
	if (send_fds(sock, &reply, sizeof(reply), &fd, 1, &err) < 0)
		return 2;
	if (req.op != op)
		return 3;
	return req.a == asks ? 0 : 4;
}

static void test_kind(enum copy_kind kind, uint32_t op, const char *what)
{
	auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	auto_close int file = -EBADF;
	struct err err = { 0 };
	struct work w = { 0 };
	int pair[2], status = -1, r;
	pid_t me = gettid(), pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		_exit(99);
	pid = fork();
	if (pid == 0)
		_exit(supervise(pair[1], op, me));
	close(pair[1]);
	w.control_fd = pair[0];
	r = work_copy_out(&w, kind, null, &file, &err);
	waitpid(pid, &status, 0);
	ok(r == 0 && file >= 0, "%s: there is a copy %s", what, err.text);
	ok(status == 0, "%s: the supervisor knows of whom (%d)", what,
	   WEXITSTATUS(status));
	close(pair[0]);
}

int main(void)
{
	alarm(60);
	test_kind(COPY_PTY, CONTROL_PTY, "a pseudo terminal");
	test_kind(COPY_QUEUE, CONTROL_QUEUE, "a message queue");
	test_kind(COPY_EVENTFD, CONTROL_EVENTFD, "an eventfd");
	return done_testing();
}
