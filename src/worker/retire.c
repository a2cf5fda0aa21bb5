/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <unistd.h>

#include "storage/store.h"
#include "util/cleanup.h"
#include "wire/writing.h"
#include "worker/worker.h"

/* It only says so to others: that it cannot is no reason to write nothing. */
void work_begin_writing(struct work *w)
{
	struct err unused;

	if (w->req->run_dir)
		(void)writing_begin(w->req->run_dir, &w->writing_fd, &unused);
}

void work_end_writing(struct work *w, int r)
{
	if (w->writing_fd >= 0)
		close(take_fd(&w->writing_fd));
	/* A user's quota is no reason for others to make room. */
	if (r == -ENOSPC && w->req->run_dir && w->job_fd >= 0)
		writing_no_room(w->req->run_dir);
}

int work_retire(struct work *w, bool at_once, struct err *err)
{
	const WorkerRequest *req = w->req;

	if (!req->has_keep)
		return 0;
	if (!at_once && req->run_dir &&
	    writing_put_off(req->run_dir, req->job_id, false))
		return 0;
	return store_retire(w->job_fd, req->keep, &w->owner, err);
}
