/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_TIDY_H
#define JOBCR_DAEMON_TIDY_H

#include "conf/conf.h"

/*
 * What snapshots have left whose worker was killed.  The next one of the same
 * job would remove it, but a job may have none.
 */

/* When jobcrd starts: of this node's workers, of jobs that were here. */
void tidy_here(const struct conf *conf);

/* Of all jobs of a cluster: what nobody has written to for a long time. */
void tidy_cluster(const struct conf *conf, const char *cluster);

#endif
