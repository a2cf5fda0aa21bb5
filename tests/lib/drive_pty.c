/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drive_pty.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

struct question {
	enum copy_kind kind;
	pid_t tracer;
};

struct answer {
	int result;
	struct err err;
};

/* With the request come what is to be copied and where the answer goes. */
static bool serve(int sock)
{
	struct answer a = { 0 };
	int fds[2] = { -1, -1 };
	size_t len, count = 2;
	struct err err;
	struct question q;
	int file;

	if (recv_fds(sock, &q, sizeof(q), &len, fds, &count, &err) < 0 || count != 2)
		return false;
	file = copy_out(q.kind, fds[0], q.tracer, &a.err);
	a.result = file < 0 ? file : 0;
	(void)send_fds(fds[1], &a, sizeof(a), &file, file >= 0, &err);
	cleanup_close(&file);
	close(fds[0]);
	close(fds[1]);
	return true;
}

/* Until nobody can ask any more.  It is nobody's child to be waited for. */
int drive_pty_start(void)
{
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid = fork();
	if (pid == 0 && fork() == 0) {
		dup2(pair[1], 3);
		close_range(4, ~0u, 0);
		while (serve(3))
			;
	}
	if (pid == 0)
		_exit(0);
	close(pair[1]);
	waitpid(pid, &status, 0);
	return pair[0];
}

static int receive(int sock, int *ret_file, struct err *err)
{
	auto_close int file = -EBADF;
	struct answer a;
	size_t len, count = 1;
	int r = recv_fds(sock, &a, sizeof(a), &len, &file, &count, err);

	if (r == 0 && a.result < 0)
		*err = a.err;
	if (r < 0 || a.result < 0)
		return r < 0 ? r : a.result;
	*ret_file = take_fd(&file);
	return 0;
}

int drive_pty_ask(int sock, enum copy_kind kind, int fd, int *ret_file,
		  struct err *err)
{
	const struct question q = { kind, gettid() };
	int pair[2], fds[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	fds[0] = fd;
	fds[1] = pair[1];
	r = send_fds(sock, &q, sizeof(q), fds, 2, err);
	close(pair[1]);
	if (r == 0)
		r = receive(pair[0], ret_file, err);
	close(pair[0]);
	return r;
}
