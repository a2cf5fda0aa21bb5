/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "operation/chronicle.h"
#include "operation/parts.h"
#include "storage/store.h"
#include "util/cleanup.h"

/* How long a name may be missed that is given back. */
#define NAME_LOOKS    50
#define NAME_PAUSE_NS 20000000

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

static bool has_name(const struct operation *op, int job_fd)
{
	auto_close int fd = -EBADF;
	struct user_id owner = { 0 };
	struct stat named, st;
	struct err unused;
	bool same = operation_open_job(op, false, &owner, &fd, &unused) == 0 &&
		    fstat(fd, &named) == 0 && fstat(job_fd, &st) == 0 &&
		    named.st_dev == st.st_dev && named.st_ino == st.st_ino;

	user_id_done(&owner);
	return same;
}

/*
 * All of the job may be retired in this moment: that takes its name and looks
 * then whether one is kept (ended_retire), here it is the other way round.
 */
static int check_named(const struct operation *op, int job_fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = NAME_PAUSE_NS };

	for (int i = 0; i < NAME_LOOKS; i++) {
		if (has_name(op, job_fd))
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, -ENOENT,
		       "job %s is being retired: too late to keep a snapshot",
		       op->req->job_id);
}

static int keep_it(const struct operation *op, int job_fd, uint32_t generation,
		   const struct user_id *owner, struct err *err)
{
	struct err unused;
	int r = store_keep(job_fd, generation, true, owner, err);

	if (r < 0)
		return r;
	r = check_named(op, job_fd, err);
	if (r < 0)
		(void)store_keep(job_fd, generation, false, owner, &unused);
	return r;
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
		r = off ? store_keep(fd, generation, false, &owner, err)
			: keep_it(op, fd, generation, &owner, err);
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
