/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "operation/chronicle.h"
#include "operation/parts.h"
#include "storage/store.h"
#include "util/cleanup.h"

static void note(const struct operation *op, const struct user_id *owner,
		 uint32_t generation, bool off)
{
	struct control_info info = { .uid = owner->uid, .gid = owner->gid };
	char text[128];

	snprintf(info.job_id, sizeof(info.job_id), "%s", op->req->job_id);
	snprintf(text, sizeof(text), "%s by the wish of uid %u",
		 off ? "not kept any more" : "kept until that is taken back",
		 op->caller->uid);
	chronicle_add(op->conf, &info, "keep", generation, text);
}

/* Its number. */
static int keep(void *arg, struct err *err)
{
	const struct operation *op = arg;
	bool off = op->req->has_off && op->req->off;
	uint32_t generation = op->req->generation;
	auto_close int fd = -EBADF;
	struct user_id owner = { 0 };
	int r = operation_open_job(op, false, &owner, &fd, err);

	if (r == 0 && !generation)
		r = store_newest(fd, &owner, &generation, err);
	if (r == 0)
		r = store_keep(fd, generation, !off, &owner, err);
	if (r == 0)
		note(op, &owner, generation, off);
	user_id_done(&owner);
	return r < 0 ? r : (int)generation;
}

int operation_keep(const struct operation *op, struct err *err)
{
	const struct apart apart = operation_apart(op);
	struct operation own = *op;
	Reply reply = REPLY__INIT;
	int r = apart_run(&apart, keep, &own, err);

	if (r < 0)
		return r;
	reply.has_kept = 1;
	reply.kept = (uint32_t)r;
	return op->reply(op->arg, &reply);
}
