/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_ASIDE_H
#define JOBCR_OPERATION_ASIDE_H

#include "storage/as_user.h"
#include "util/err.h"
#include "wire/control.h"

/*
 * Slurm truncates the output files of a job that it starts again.  So they
 * are put aside before the requeue, as .NAME.jobcr-JOBID beside NAME, and put
 * back before the restore opens them.  Done as the job's user.
 */

/* No such file: nothing to do (an earlier attempt has done it). */
int aside_put(const char *path, const char *job_id, const struct user_id *user,
	      struct err *err);

/* Back over what Slurm made meanwhile.  None aside: nothing to do. */
int aside_take_back(const char *path, const char *job_id,
		    const struct user_id *user, struct err *err);

/*
 * The job is not requeued after all and still writes: back where it was, if
 * nothing is there.  What lies aside beside a NAME is of another time.
 */
int aside_undo(const char *path, const char *job_id, const struct user_id *user,
	       struct err *err);

/* Standard output and error of a job on this node. */
int aside_put_outputs(const struct control_info *info, struct err *err);
int aside_take_back_outputs(const struct control_info *info, struct err *err);
int aside_undo_outputs(const struct control_info *info, struct err *err);

#endif
