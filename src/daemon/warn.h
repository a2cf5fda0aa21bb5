/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_WARN_H
#define JOBCR_DAEMON_WARN_H

#include "daemon/subject.h"
#include "util/err.h"

/*
 * --jobcr-signal: send the job the signal that its user wants before a
 * checkpoint that ends this run, and give it the time he asked for, at most
 * at_most_s seconds; Slurm's own signals are held back meanwhile.  Returns at
 * once when there is no such wish, and early when Slurm begins to end the
 * job: then no more than half of KillWait is used up.
 *
 * -ESRCH: the job has ended on its own meanwhile.
 */
int warn_job(struct subject *s, unsigned int at_most_s, struct err *err);

#endif
