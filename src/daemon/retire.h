/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_RETIRE_H
#define JOBCR_DAEMON_RETIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "util/err.h"

/*
 * What becomes of the snapshots of Slurm's jobs that are over.  A job that
 * was preempted, lost its node or ran into its time limit may be wanted back:
 * its snapshots stay until somebody deletes them.
 */

/* In a child: Slurm has ended a job here, for good or to start it again. */
int retire_ended(const struct conf *conf, const char *job_id);

/* The same, later: one that was put off, and has not started again. */
void retire_put_off(const struct conf *conf, const char *job_id);

/* In a child: what is due, of all jobs in the store. */
int retire_sweep(const struct conf *conf);

/*
 * A job starts (again): it is no longer one that has ended.  -ENOENT: what is
 * in the store of it is being retired, and no snapshot of this job.
 */
int retire_spare(const struct conf *conf, const char *job_id, uid_t uid,
		 gid_t gid, struct err *err);

#endif
