/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_PREEMPT_H
#define JOBCR_DAEMON_PREEMPT_H

#include "conf/conf.h"

/*
 * What jobcrd does for Slurm's jobs when it is told of something: see
 * wire/notify.h.  Each runs in a child process of its own, takes as long as
 * it takes, logs what happened, and returns what the child ends with.  Told
 * twice, the second finds the first at work and has nothing to do.
 */

/*
 * Slurm may be about to end the job.  Preempted, requeued by somebody or its
 * node taken away: checkpoint it, requeue it where Slurm has not done so, end
 * it, let it start again at once (unless it is held).  One submitted with
 * --no-requeue ends, and its snapshot is kept.  Otherwise (cancelled, over
 * its time limit), or when the checkpoint is refused or fails: signals that
 * were held back go to the job, which goes on.
 */
int preempt_checkpoint(const struct conf *conf, const char *job_id);

#endif
