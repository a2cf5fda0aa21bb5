/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_REQUEUED_H
#define JOBCR_DAEMON_REQUEUED_H

#include "conf/conf.h"

/*
 * A job that Slurm requeued, because its node failed or somebody said so, may
 * not start before its last credential has expired.  The nodes that share the
 * store take turns in asking slurmctld for such jobs, once for all of them;
 * those with a snapshot are let start at once.
 *
 * In a child; not 0: slurmctld, or the store, is not to be had from here:
 * others may try.
 */
int requeued_pass(const struct conf *conf);

#endif
