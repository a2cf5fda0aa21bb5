/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_PLAN_H
#define JOBCR_DAEMON_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "util/err.h"
#include "wire/control.h"
#include "wire/record.h"

/*
 * What is to happen to the jobs of this node, decided again every second from
 * their records alone, so that a jobcrd that was restarted knows as much as
 * the one before.
 */

/* Everything that decides about one job. */
struct plan_facts {
	const struct control_info *info;
	struct record_plan plan;
	struct record_last last;
	struct record_turn turn, limit_turn;
	struct record_limits limits;
	struct record_rate rate;
};

void plan_read(const struct conf *conf, const struct control_info *info,
	       struct plan_facts *ret);

/* Fill in facts->plan; now: CLOCK_MONOTONIC. */
void plan_make(const struct conf *conf, struct plan_facts *facts, uint64_t now);

/* CLOCK_MONOTONIC: a periodic snapshot is due; 0: never. */
uint64_t plan_due(const struct plan_facts *facts);
/* ... it is to be requeued, before its time limit; 0: never. */
uint64_t plan_limit_due(const struct plan_facts *facts);

/* One turn is taken at a time: -EBUSY.  limit: that of the time limit. */
int plan_lock(const struct conf *conf, const char *job_id, bool limit,
	      int *ret_fd, struct err *err);

/*
 * In a child of jobcrd: look at all jobs, write their plans, hint the loop
 * (NOTIFY_TURN) at those with something due.
 */
int plan_pass(const struct conf *conf);

/* Are there any?  A look at names, no more. */
bool plan_needed(const struct conf *conf);

#endif
