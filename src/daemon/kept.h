/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_KEPT_H
#define JOBCR_DAEMON_KEPT_H

#include "storage/as_user.h"
#include "util/err.h"

/*
 * In a job's directory of the store: how it was submitted, as "jobcr-slurm
 * describe" and "submit" have it; see resubmit.h.
 */
#define SUBMIT_FILE     "submit"
#define SUBMIT_ENV_FILE "submit.env"

/*
 * Call act (of operation/aside.h) for the output files that were kept of a
 * job, as those of job id.  Until one fails; nothing kept: 0.
 */
int kept_outputs(int job_fd, const struct user_id *user, const char *id,
		 int (*act)(const char *path, const char *id,
			    const struct user_id *user, struct err *err),
		 struct err *err);

#endif
