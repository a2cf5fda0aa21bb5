/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_DRAIN_WORK_H
#define JOBCR_DAEMON_DRAIN_WORK_H

#include "conf/conf.h"
#include "daemon/drain_table.h"

/*
 * Find the jobs of this node that have no row yet; see to those whose state
 * is another one for Slurm.
 */
int drain_scan(const struct conf *conf, struct drain_table *t, struct err *err);

/*
 * Drain: until nothing is left to do, the deadline is over, or somebody
 * undrains.  In a process that holds the lock; returns with t->over set.
 */
void drain_work(const struct conf *conf, struct drain_table *t);

#endif
