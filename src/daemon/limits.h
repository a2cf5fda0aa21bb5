/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_LIMITS_H
#define JOBCR_DAEMON_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "util/err.h"

/*
 * How much time Slurm gives some jobs of this node, into their records: one
 * call of jobcr-slurm for all of them, which may wait for slurmctld.
 */
#define LIMITS_JOBS_MAX 64

int limits_refresh(const struct conf *conf, const uint32_t *jobs, size_t count,
		   struct err *err);

/*
 * The same in a process of its own that nobody waits for, one at a time; when
 * it fails the next one comes later.
 */
void limits_refresh_apart(const struct conf *conf, const uint32_t *jobs,
			  size_t count);

#endif
