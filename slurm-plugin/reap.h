/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_REAP_H
#define JOBCR_SLURM_PLUGIN_REAP_H

#include "util/err.h"

/*
 * Wait for a snapshot of the job that is being made, wait_s at most, since
 * this is what keeps the job from starting elsewhere before.  Then end what
 * is left of it on this node, a frozen tree too, and remove its run
 * directory.  A job that is not ours: nothing to do, 0.
 */
int reap_job(const char *run_dir, const char *job, unsigned int wait_s,
	     struct err *err);

/*
 * Wait for the end of a job's run on this node, however long it has, and then
 * for a snapshot that is made of it, wait_s at most.  Not ours, or ended by
 * now: 0.  Nobody but the job's supervisor is needed for it.
 */
int reap_await(const char *run_dir, const char *job, unsigned int wait_s,
	       struct err *err);

#endif
