/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_DUE_H
#define JOBCR_DAEMON_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/record.h"

/*
 * When a snapshot is due and what it costs: arithmetic alone.  Times are of
 * CLOCK_MONOTONIC in nanoseconds, so that a clock that is set changes nothing.
 */

/*
 * The interval that loses least time (Daly 2006): cost_ns is for how long the
 * job stands still for a snapshot, total_ns how long it takes in all, mtbf_s
 * the mean time between two failures.  At least a minute, and ten times
 * total_ns; at most a day.
 */
uint32_t due_optimum(uint64_t cost_ns, uint64_t total_ns, uint32_t mtbf_s);

/*
 * The first one, after half an interval and a part of the other half that is
 * the job's own: jobs that began together do not write together.
 */
uint64_t due_first(uint64_t since, uint32_t interval_s, const char *job_id);

/*
 * The one after a turn that was due and ended then: in the rhythm of the job,
 * but not before half an interval has passed.
 */
uint64_t due_next(uint64_t due, uint64_t ended, uint32_t interval_s);

/* After failures in a row: later and later, up to 8 intervals or an hour. */
uint64_t due_again(uint64_t ended, uint32_t interval_s, uint32_t failures);

/*
 * When the job is to be requeued: lead_s before its limit, but not before
 * half of its time.  limit_s: how long it may run in all.
 */
uint64_t due_before_limit(uint64_t end, uint32_t limit_s, uint32_t lead_s);

/* How many bytes of pages a tree of tree_bytes has, from its last snapshot. */
uint64_t due_bytes(const struct record_last *last, uint64_t tree_bytes);

/*
 * How long a checkpoint with so many bytes of pages will take, from the last
 * one of the job or else what the node has managed lately.  0: neither says.
 */
uint64_t due_duration(const struct record_last *last,
		      const struct record_rate *rate, uint64_t bytes);

/* The same until the job may be killed, when its memory is pinned. */
uint64_t due_until_pinned(const struct record_last *last,
			  const struct record_rate *rate, uint64_t bytes);

#endif
