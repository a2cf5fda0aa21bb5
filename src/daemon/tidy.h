/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_TIDY_H
#define JOBCR_DAEMON_TIDY_H

#include <stdbool.h>

#include "conf/conf.h"

/*
 * What snapshots have left whose worker was killed.  The next one of the same
 * job would remove it, but a job may have none.
 */

/* When jobcrd starts: of this node's workers, of jobs that were here. */
void tidy_here(const struct conf *conf);

/*
 * In a child, now and then: of all jobs what nobody has written to for a long
 * time; and retire_sweep.  Of the nodes that share a store one does it.
 */
int tidy_sweep(const struct conf *conf);

/*
 * In a child, every few seconds: what was to be retired while others wrote
 * (writing.h), and need not wait any more.  Is there any?  A look at names, no
 * more.
 */
bool later_needed(const struct conf *conf);
int later_pass(const struct conf *conf);

#endif
