/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_KEPT_H
#define JOBCR_DAEMON_KEPT_H

#include "daemon/subject.h"
#include "storage/as_user.h"
#include "util/err.h"

/*
 * In a job's directory of the store: how it was submitted, as "jobcr-slurm
 * describe" and "submit" have it; see resubmit.h.
 */
#define SUBMIT_FILE     "submit"
#define SUBMIT_ENV_FILE "submit.env"

/* By no descriptor of s: it asks the supervisor by a connection of its own. */
int kept_write(const struct subject *s, const struct user_id *user, int fd,
	       struct err *err);

/*
 * aside_put and aside_undo (operation/aside.h) for the output files that were
 * kept of a job, as those of job id.  Nothing kept: 0.
 */
int kept_outputs_aside(int job_fd, const struct user_id *user, const char *id,
		       struct err *err);
int kept_outputs_undo(int job_fd, const struct user_id *user, const char *id,
		      struct err *err);

#endif
