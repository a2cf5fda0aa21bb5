/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_MOUNTED_H
#define JOBCR_DAEMON_MOUNTED_H

#include <stdbool.h>

#include "conf/conf.h"
#include "storage/as_user.h"
#include "util/err.h"

/*
 * The store has nothing of a job of Slurm's that is about to start.  Of one
 * that was started before and has a note of ours in its AdminComment there is
 * at least what was retired, unless this is no store but a mount point that
 * has lost its file system: -EIO.  Asks Slurm, and waits for that, only where
 * the file system is none that several nodes share.
 */
int mounted_check(const struct conf *conf, const char *job_id,
		  const struct user_id *user, struct err *err);

/*
 * FastDir is there, and not one that was configured only now: some job has been
 * in it.
 */
bool mounted_fast(const struct conf *conf);

#endif
