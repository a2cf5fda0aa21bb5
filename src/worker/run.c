/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is the tree in hand the run of the job that may write its snapshots? */
#include <errno.h>

#include "worker/worker.h"

int work_find_run(struct work *w, struct err *err)
{
	struct lease here, newest;
	int r = lease_read(w->job_fd, &w->owner, &newest, err);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = lease_identity(w->req->node, &here, err);
	if (r < 0)
		return err_wrap(err, r, "the job's lease");
	if (!lease_same_place(&newest, &here) || newest.released ||
	    newest.ended)
		return err_set(err, -EKEYREVOKED,
			       "the job was started again: epoch %u is %s %s; "
			       "what runs here may save nothing any more",
			       newest.epoch,
			       newest.released ? "released by" : "held by",
			       newest.node);
	w->lease = newest;
	return 0;
}

int work_check_run(struct work *w, struct err *err)
{
	return w->lease.epoch
		       ? lease_check(w->job_fd, &w->owner, w->lease.epoch, err)
		       : 0;
}
