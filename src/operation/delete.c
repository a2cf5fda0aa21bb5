/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "operation/chronicle.h"
#include "operation/launch.h"
#include "operation/parts.h"
#include "storage/ended.h"
#include "storage/store.h"
#include "util/cleanup.h"

/* Runs here, or is about to: ended jobs of this node are known too. */
static bool is_here(const struct operation *op)
{
	struct control_info info;
	struct err unused;

	return control_read_info(op->conf->run_dir, op->req->job_id, &info,
				 &unused) == 0 &&
	       info.state != CONTROL_ENDED && info.state != CONTROL_LEFT;
}

static bool is_forced(const struct operation *op)
{
	return op->req->has_force && op->req->force;
}

/*
 * A job that may go on from its newest snapshot keeps it.  Where a Slurm job
 * is, and whether it waits in the queue, the store need not know: that it has
 * ended is marked there.
 */
static int check_needed(const struct operation *op, int job_fd,
			const struct user_id *owner, struct err *err)
{
	const char *id = op->req->job_id;
	struct ended_mark mark;
	struct err unused;

	if (is_forced(op))
		return 0;
	if (is_here(op))
		return err_set(err, -EBUSY,
			       "job %s runs on this node and may need its "
			       "newest snapshot: --force, or --generation for "
			       "an older one",
			       id);
	if (launch_is_local(id) ||
	    ended_read(job_fd, owner, &mark, &unused) == 0)
		return 0;
	return err_set(err, -EBUSY,
		       "job %s is not known to have ended: Slurm may start it "
		       "again from its newest snapshot; --force if it will not",
		       id);
}

static int check_kept(const struct operation *op, bool kept, struct err *err)
{
	if (!kept || is_forced(op))
		return 0;
	return err_set(err, -EBUSY,
		       "job %s: it is to be kept: --force, or take that back "
		       "with jobcr keep --off",
		       op->req->job_id);
}

/* Who reads what goes all the same is told that it was deleted. */
static int check_read(const struct operation *op, int r, struct err *err)
{
	const struct err cause = *err;

	return r == -EBUSY ? err_set(err, r,
				     "job %s: %s: a restore, verify or the "
				     "like: --force removes it all the same",
				     op->req->job_id, cause.text)
			   : r;
}

static int delete_one(const struct operation *op, int job_fd,
		      const struct user_id *owner, uint32_t *ret_deleted,
		      struct err *err)
{
	uint32_t number = op->req->generation, newest = 0;
	int r = store_newest(job_fd, owner, &newest, err);

	if (r == 0 && number == newest)
		r = check_needed(op, job_fd, owner, err);
	if (r == 0 && number > newest)
		r = err_set(err, -ENOENT, "job %s has no snapshot %u",
			    op->req->job_id, number);
	if (r == 0) {
		auto_close int dir_fd = -EBADF;

		r = store_open(job_fd, number, owner, &dir_fd, err);
		if (r == 0)
			r = check_kept(op, store_is_kept(dir_fd, owner), err);
	}
	if (r == 0 && is_forced(op))
		r = store_discard(job_fd, number, owner, err);
	else if (r == 0)
		r = check_read(op, store_remove(job_fd, number, owner, err),
			       err);
	if (r == 0)
		*ret_deleted = 1;
	return r;
}

static int delete_all(const struct operation *op, int job_fd,
		      const struct user_id *owner, uint32_t *ret_deleted,
		      struct err *err)
{
	int r = check_needed(op, job_fd, owner, err);
	bool kept = false;

	if (r == 0)
		r = store_keeps(job_fd, owner, &kept, err);
	if (r == 0)
		r = check_kept(op, kept, err);
	if (r == 0)
		r = check_read(op,
			       store_empty(job_fd, is_forced(op), owner,
					   ret_deleted, err),
			       err);
	return r;
}

static void note(const struct operation *op, const struct user_id *owner,
		 uint32_t deleted)
{
	struct control_info info = { .uid = owner->uid, .gid = owner->gid };
	char text[128];

	snprintf(info.job_id, sizeof(info.job_id), "%s", op->req->job_id);
	snprintf(text, sizeof(text), "%u snapshot%s deleted by uid %u", deleted,
		 deleted == 1 ? "" : "s", op->caller->uid);
	chronicle_add(op->conf, &info, "deleted", op->req->generation, text);
}

static int look(void *arg, struct err *err)
{
	auto_close int fd = -EBADF;
	struct user_id owner = { 0 };
	int r = operation_open_job(arg, false, &owner, &fd, err);

	user_id_done(&owner);
	return r;
}

/* How many. */
static int delete_wanted(void *arg, struct err *err)
{
	const struct operation *op = arg;
	auto_close int fd = -EBADF;
	struct user_id owner = { 0 };
	uint32_t deleted = 0;
	int r = operation_open_job(op, false, &owner, &fd, err);

	if (r == 0)
		r = op->req->has_generation && op->req->generation
			    ? delete_one(op, fd, &owner, &deleted, err)
			    : delete_all(op, fd, &owner, &deleted, err);
	if (deleted)
		note(op, &owner, deleted);
	user_id_done(&owner);
	return r < 0 ? r : (int)deleted;
}

/* Files of some TiB are not removed in a moment. */
int operation_delete(const struct operation *op, struct err *err)
{
	struct apart apart = operation_apart(op);
	struct operation own = *op;
	Reply reply = REPLY__INIT;
	int r = apart_run(&apart, look, &own, err);

	if (op->conf->timeout_s > APART_S)
		apart.limit_s = op->conf->timeout_s;
	if (r == 0)
		r = apart_run(&apart, delete_wanted, &own, err);
	if (r < 0)
		return r;
	reply.has_deleted = 1;
	reply.deleted = (uint32_t)r;
	return op->reply(op->arg, &reply);
}
