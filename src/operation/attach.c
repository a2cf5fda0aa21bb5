/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "operation/caller.h"
#include "operation/parts.h"
#include "util/cleanup.h"
#include "wire/terminal.h"

/*
 * The supervisor is given one end of the caller's pair, and what is looked at
 * and typed does not come by here any more.
 */
int operation_attach(const struct operation *op, struct err *err)
{
	const Request *req = op->req;
	struct control_request control = {
		.op = CONTROL_ATTACH,
		.b = (int64_t)(req->rows & 0xffff) << 16 |
		     (req->columns & 0xffff),
	};
	auto_close int fd = -EBADF;
	struct control_reply reply;
	struct control_info info;
	Reply done = REPLY__INIT;
	struct caller_rights unused;
	int r = control_read_info(op->conf->run_dir, req->job_id, &info, err);

	if (r == 0)
		r = operation_authorise(op->conf, op->caller, info.uid,
					req->job_id, err);
	if (r == 0 && !req->read_only)
		r = caller_check(op->caller, op->conf->node, &unused, err);
	if (r < 0)
		return r;
	if (op->nfds != 1)
		return err_set(err, -EINVAL,
			       "a job is attached to on the node it runs on");
	control.a = (req->read_only ? TERMINAL_READ_ONLY : 0) |
		    (req->steal ? TERMINAL_STEAL : 0);
	r = control_connect(op->conf->run_dir, req->job_id, &fd, err);
	if (r == 0)
		r = control_send_fd(fd, &control, op->fds[0], err);
	if (r == 0)
		r = control_receive(fd, &reply, NULL, err);
	return r < 0 ? r : op->reply(op->arg, &done);
}
