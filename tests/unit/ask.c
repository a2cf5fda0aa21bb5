/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The question of the launch: every answer, and none. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "wire/ask.h"

static char run_dir[] = "/tmp/jobcr-ask.XXXXXX";

/* A child asks; its exit status tells what it was told. */
static pid_t ask_in_child(int timeout_ms)
{
	struct err err = { 0 };
	uint32_t generation = 99;
	pid_t pid = fork();
	int r;

	if (pid)
		return pid;
	r = ask_snapshot(run_dir, "1234", 2001, 3001, timeout_ms, &generation,
			 &err);
	if (r == -ENODEV && !strcmp(strrchr(err.text, ':'), ": store is away"))
		_exit(200);
	_exit(r < 0 ? 100 + (-r & 63) : (int)generation);
}

static int told(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int take(int listen_fd, struct ask_question *q, int *conn)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };
	struct err err = { 0 };

	if (poll(&p, 1, 5000) != 1)
		return -ETIMEDOUT;
	return ask_accept(listen_fd, q, conn, &err);
}

static void test_answers(int listen_fd)
{
	struct ask_question q = { 0 };
	int conn = -1;
	pid_t pid;

	pid = ask_in_child(5000);
	ok(take(listen_fd, &q, &conn) == 0, "a question is taken");
	ok(!strcmp(q.job_id, "1234") && q.uid == 2001 && q.gid == 3001,
	   "it names the job and its owner");
	ask_reply(conn, 0, 7, NULL);
	ok(told(pid) == 7, "the generation is told");

	pid = ask_in_child(5000);
	take(listen_fd, &q, &conn);
	ask_reply(conn, 0, 0, NULL);
	ok(told(pid) == 0, "no snapshot is told as 0");

	pid = ask_in_child(5000);
	take(listen_fd, &q, &conn);
	ask_reply(conn, -ENODEV, 7, "store is away");
	ok(told(pid) == 200, "an error is told with its text");
}

static void test_silence(int listen_fd)
{
	struct ask_question q;
	int conn = -1;
	pid_t pid;

	pid = ask_in_child(100);
	take(listen_fd, &q, &conn);
	ok(told(pid) == 100 + (ETIMEDOUT & 63),
	   "a daemon that does not answer ends in a timeout");
	close(conn);

	pid = ask_in_child(5000);
	take(listen_fd, &q, &conn);
	close(conn);
	ok(told(pid) == 100 + (EBADMSG & 63), "one that dies is an error");
}

/* Too short, too long, another's: refused without harm. */
static void test_garbage(int listen_fd)
{
	static const size_t lengths[] = { 1, sizeof(struct ask_question) - 1,
					  sizeof(struct ask_question), 4096 };
	char garbage[4096];
	size_t i;

	memset(garbage, 'x', sizeof(garbage));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		struct sockaddr_un to = { .sun_family = AF_UNIX };
		struct ask_question q;
		int conn = -1;

		snprintf(to.sun_path, sizeof(to.sun_path), "%s/ask", run_dir);
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			ok(false, "connect");
		send(fd, garbage, lengths[i], 0);
		ok(take(listen_fd, &q, &conn) == -EAGAIN,
		   "%zu bytes that are no question are not taken", lengths[i]);
	}
}

int main(void)
{
	auto_close int listen_fd = -EBADF;
	struct err err = { 0 };
	char path[64];

	if (getuid() != 0)
		skip_all("only root may ask");
	if (!mkdtemp(run_dir))
		return 99;
	snprintf(path, sizeof(path), "%s/ask", run_dir);
	ok(told(ask_in_child(1000)) == 100 + ENOENT,
	   "without a daemon that is said at once");
	ok(ask_listen(run_dir, &listen_fd, &err) == 0, "jobcrd listens");
	test_answers(listen_fd);
	test_silence(listen_fd);
	test_garbage(listen_fd);
	close(take_fd(&listen_fd));
	ok(told(ask_in_child(1000)) == 100 + (ECONNREFUSED & 63),
	   "a daemon that has gone is said at once");
	unlink(path);
	rmdir(run_dir);
	return done_testing();
}
