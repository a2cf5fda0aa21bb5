/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_ENVIRONMENT_H
#define JOBCR_SLURM_PLUGIN_ENVIRONMENT_H

#include <stdint.h>
#include <sys/types.h>

#include <slurm/spank.h>

#include "util/err.h"

/*
 * A restored job keeps the environment that it began with: names of nodes,
 * devices and counts of its first allocation.  That of the present one is in
 * RUNDIR/env/JOBID, which is the same path on every node and named by
 * JOBCR_ENV_FILE: lines for a shell, export NAME='VALUE'.  It is the job's
 * user's, mode 0600.
 */

/* As root, before the task becomes the user: the file, empty. */
int environment_open(const char *run_dir, const char *job, uid_t uid, gid_t gid,
		     int *ret_fd, struct err *err);

/*
 * In task_init, where Slurm's environment is complete: tell the job of the
 * file and fill it.  fd is taken.
 */
int environment_write(spank_t spank, const char *run_dir, const char *job,
		      int fd, struct err *err);

/* In the epilog. */
void environment_remove(const char *run_dir, const char *job);

#endif
