/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_COUNTERS_H
#define JOBCR_OPERATION_COUNTERS_H

#include <stdint.h>

#include "conf/conf.h"
#include "src/wire/request.pb-c.h"

/*
 * What this node has done since it was started, for MetricsFile: a file below
 * RunDir that all children of jobcrd map and add to.  It outlives them and
 * jobcrd.  Where it cannot be had, nothing is counted.
 */
#define COUNTERS_MAGIC 0x6a636d31u /* "jcm1" */

enum counter_cause {
	COUNT_PREEMPT,
	COUNT_INTERVAL,
	COUNT_REQUEST,
	COUNT_DRAIN,
	COUNT_TIMELIMIT,
	COUNT_OTHER,
	COUNT_CAUSES,
};
extern const char *const counter_causes[COUNT_CAUSES];

struct counters {
	uint64_t magic;
	uint64_t made[COUNT_CAUSES], failed[COUNT_CAUSES];
	uint64_t refused[COUNT_CAUSES];
	uint64_t bytes; /* of pages */
	uint64_t restored, restores_failed;
	/* Of the last snapshot, whichever job's. */
	uint64_t last_frozen_ns, last_total_ns, last_at_ns;
};

/* result: of the checkpoint; outcome: NULL if it failed. */
void counters_checkpoint(const struct conf *conf, const char *cause, int result,
			 const Outcome *outcome);
void counters_restore(const struct conf *conf, int result);

/* As they stand; zeros where there are none. */
void counters_read(const struct conf *conf, struct counters *ret);

#endif
