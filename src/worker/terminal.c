/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/tty_input.h"
#include "worker/worker.h"

/* What was typed comes in a file. */
static int read_input(int fd, uint8_t *ret, size_t *ret_len, struct err *err)
{
	ssize_t n = pread(fd, ret, TTY_INPUT_ROOM, 0);

	if (n < 0)
		return err_sys(err, "typed input");
	*ret_len = (size_t)n;
	return 0;
}

static int take_input(void *arg, uint8_t *ret, size_t *ret_len,
		      bool *ret_stopped, struct err *err)
{
	struct control_reply reply;
	int fds[3] = { -1, -1, -1 }, i, r;

	r = work_control(arg, CONTROL_TERMINAL, 1, 0, &reply, fds, err);
	if (r == 0) {
		*ret_stopped = reply.value != 0;
		r = read_input(fds[2], ret, ret_len, err);
	}
	for (i = 0; i < 3; i++)
		cleanup_close(&fds[i]);
	return r;
}

int work_find_terminal(struct work *w, struct err *err)
{
	struct control_reply reply;
	int fds[3] = { -1, -1, -1 }, r;

	r = work_control(w, CONTROL_TERMINAL, 0, 0, &reply, fds, err);
	if (r < 0)
		return r;
	w->terminal = (struct job_terminal){
		.slave = fds[0],
		.master = fds[1],
		.root = w->info.root_pid,
		.input = take_input,
		.arg = w,
	};
	cleanup_close(&fds[2]);
	return 0;
}

void work_leave_terminal(struct work *w)
{
	cleanup_close(&w->terminal.slave);
	cleanup_close(&w->terminal.master);
}

int work_copy_out(void *arg, enum copy_kind kind, int fd, int *ret_file,
		  struct err *err)
{
	const struct control_request req = {
		.op = kind == COPY_PTY     ? CONTROL_PTY
		      : kind == COPY_QUEUE ? CONTROL_QUEUE
					   : CONTROL_EVENTFD,
		.a = gettid(),
	};
	const struct work *w = arg;
	struct control_reply reply;
	int fds[3] = { -1, -1, -1 }, r;

	r = control_send_fd(w->control_fd, &req, fd, err);
	if (r == 0)
		r = control_receive(w->control_fd, &reply, fds, err);
	if (r == 0 && fds[0] < 0)
		r = err_set(err, -EPROTO, "the supervisor sends no copy");
	if (r == 0)
		*ret_file = take_fd(&fds[0]);
	for (int i = 0; i < 3; i++)
		cleanup_close(&fds[i]);
	return r;
}
