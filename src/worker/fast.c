/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot of a job that goes on may be written into the fast directory of
 * its node.  Whatever speaks against that is no failure: it is written into
 * the store then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/store.h"
#include "storage/tier_dir.h"
#include "util/cleanup.h"
#include "worker/worker.h"

#define MIB 1048576.0

static uint64_t room(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) < 0 ? 0 : (uint64_t)st.f_bavail * st.f_frsize;
}

/* What is in the store already makes room for what is not. */
static int check_room(struct work *w, struct err *err)
{
	uint64_t needs = w->req->fast_needs;
	int r = 0;

	if (room(w->fast_fd) < needs)
		r = tier_dir_trim(w->fast_fd, true, &w->owner, err);
	if (r == 0 && room(w->fast_fd) < needs)
		r = err_set(err, -ENOSPC,
			    "no room: about %.0f MiB are needed, %.0f MiB are "
			    "free",
			    (double)needs / MIB,
			    (double)room(w->fast_fd) / MIB);
	return r;
}

/* One at a time: what is made faster than the store takes it goes there. */
static int check_pending(struct work *w, struct err *err)
{
	uint32_t pending = 0;
	int r = tier_dir_pending(w->fast_fd, &w->owner, &pending, err);

	return r == 0 && pending
		       ? err_set(err, -EBUSY,
				 "generation %u is still on its way to the "
				 "store",
				 pending)
		       : r;
}

/* The number is taken for good, then what has it is begun. */
static int mark(struct work *w, int store_fd, int fast_fd, struct err *err)
{
	const WorkerRequest *req = w->req;
	struct tier_mark m;
	int r = tier_mark_make(req->node, req->fast, req->cluster, req->job_id,
			       &m, err);

	if (r == 0)
		r = tier_mark_write(store_fd, &w->owner, &m, err);
	if (r == 0 && fsync(w->job_fd) < 0)
		r = err_sys(err, "fsync of the job's directory");
	return r < 0 ? r : tier_mark_write(fast_fd, &w->owner, &m, err);
}

static int enter(struct work *w, int store_fd, int *ret, struct err *err)
{
	const WorkerRequest *req = w->req;
	auto_close int fd = -EBADF;
	struct err unused;
	int r = tier_dir_open(req->fast, req->cluster, req->job_id, true,
			      &w->owner, &w->fast_fd, err);

	if (r == 0)
		r = check_pending(w, err);
	if (r == 0)
		r = check_room(w, err);
	if (r == 0)
		r = store_begin_at(w->fast_fd, &w->owner, w->generation, &fd,
				   err);
	if (r < 0)
		return r;
	r = mark(w, store_fd, fd, err);
	if (r < 0)
		(void)store_discard(w->fast_fd, w->generation, &w->owner,
				    &unused);
	else
		*ret = take_fd(&fd);
	return r;
}

void work_enter_fast(struct work *w, int store_fd, int *ret_dir)
{
	struct err err = { 0 };

	*ret_dir = -1;
	if (!w->req->fast || enter(w, store_fd, ret_dir, &err) == 0)
		return;
	snprintf(w->not_fast, sizeof(w->not_fast), "%.255s", err.text);
	if (w->fast_fd >= 0)
		close(take_fd(&w->fast_fd));
	/* A mark that leads nowhere: this one is published here. */
	work_forget_mark(w, store_fd);
}

void work_forget_mark(struct work *w, int store_fd)
{
	struct err unused;

	if (as_user(&w->owner, &unused) < 0)
		return;
	(void)unlinkat(store_fd, TIER_MARK, 0);
	as_root();
}

bool work_fast_failed(const struct work *w, int r)
{
	static const int full[] = { -ENOSPC, -EDQUOT, -EIO,
				    -EROFS,  -EFBIG,  -ENOENT };

	for (size_t i = 0; w->fast_fd >= 0 && !w->durable && i < ARRAY_SIZE(full); i++)
		if (r == full[i])
			return true;
	return false;
}

void work_leave_fast(struct work *w, int r)
{
	struct err unused;

	if (w->fast_fd < 0)
		return;
	if (r < 0 && !w->durable)
		(void)store_discard(w->fast_fd, w->generation, &w->owner,
				    &unused);
	/* Older ones are in the store; now they only take room. */
	(void)tier_dir_trim(w->fast_fd, false, &w->owner, &unused);
}
