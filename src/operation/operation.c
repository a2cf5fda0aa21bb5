/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/operation.h"

#include <errno.h>
#include <string.h>

#include "operation/parts.h"
#include "wire/control.h"

static int operation_status(const struct operation *op, struct err *err)
{
	Reply reply = REPLY__INIT;

	(void)err;
	return op->reply(op->arg, &reply);
}

static const struct {
	Request__Operation op;
	const char *name;
	int (*run)(const struct operation *op, struct err *err);
	bool needs_job;
} table[] = {
	{ REQUEST__OPERATION__LIST, "list", operation_list, false },
	{ REQUEST__OPERATION__SHOW, "show", operation_show, true },
	{ REQUEST__OPERATION__RUN, "run", operation_start, false },
	{ REQUEST__OPERATION__WAIT, "wait", operation_wait, true },
	{ REQUEST__OPERATION__KILL, "kill", operation_kill, true },
	{ REQUEST__OPERATION__ATTACH, "attach", operation_attach, true },
	{ REQUEST__OPERATION__CHECKPOINT, "checkpoint", operation_checkpoint,
	  false },
	{ REQUEST__OPERATION__RESTORE, "restore", operation_restore, false },
	{ REQUEST__OPERATION__HISTORY, "history", operation_history, true },
	{ REQUEST__OPERATION__DELETE, "delete", operation_delete, true },
	{ REQUEST__OPERATION__KEEP, "keep", operation_keep, true },
	{ REQUEST__OPERATION__LEASE, "lease", operation_lease, true },
	{ REQUEST__OPERATION__STATUS, "status", operation_status, false },
};

int operation_run(const struct operation *op, struct err *err)
{
	const Request *req = op->req;
	int r = err_set(err, -EOPNOTSUPP, "no such request: %d", req->op);
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].op != req->op)
			continue;
		r = 0;
		if (req->job_id)
			r = control_check_id(req->job_id, err);
		else if (table[i].needs_job)
			r = err_set(err, -EINVAL, "%s: which job?",
				    table[i].name);
		if (r == 0)
			r = table[i].run(op, err);
		break;
	}
	if (r < 0)
		(void)operation_reply_error(op, r, err->text);
	return r;
}
