/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_SAVING_H
#define JOBCR_WIRE_SAVING_H

#include "util/err.h"

/*
 * A job whose last state on this node is being saved: Slurm's epilog waits
 * for that, since the job must not start elsewhere before its snapshot
 * exists.  A lock on RUNDIR/jobs/JOBID/saving, gone with who holds it.
 */
int saving_begin(const char *run_dir, const char *job_id, int *ret_fd,
		 struct err *err);

/* Returns when nobody saves the job; -ETIMEDOUT: after timeout_s still. */
int saving_await(const char *run_dir, const char *job_id,
		 unsigned int timeout_s, struct err *err);

#endif
