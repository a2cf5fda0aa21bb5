/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_LAUNCH_H
#define JOBCR_SLURM_PLUGIN_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "wire/job_options.h"

/*
 * Turns the task that slurmstepd has forked into the supervisor of a job;
 * slurmstepd's code goes on in a child of it, the job's side.  The order of
 * events is in wire/launch.h.
 */
struct launch {
	uint32_t job;
	uid_t uid;
	gid_t gid;
	uint32_t generation; /* of the snapshot to restore; 0: a first run */
	const char *run_dir;
	const char *libexec;
	const char *name;  /* for listings */
	const char *carry; /* node-local directory of the job, or "" */
	struct job_options options;
};

/*
 * Returns 0 in the job's side only, with the socket for launch_ready.  An
 * error is returned in the task itself, which is then as it was.  The task
 * does not return when all is well.
 */
int launch_start(const struct launch *launch, int *ret_sock, struct err *err);

/*
 * The job's side, in task_init: hand over 0, 1 and 2 and wait to be placed.
 * sock is taken.
 */
int launch_ready(int sock, struct err *err);

#endif
