/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_CALLER_H
#define JOBCR_OPERATION_CALLER_H

#include <stdbool.h>

#include "operation/operation.h"

/* What holds for a caller, and so for what is started for it. */
struct caller_rights {
	bool no_new_privs;
	uint64_t dropped_caps; /* that its bounding set has not */
	/* Of a job that is started; a restored one has its own. */
	bool have_priority;
	int nice, oom_score_adj;
};

/*
 * -EACCES: what is done beside us is not done where this caller is, be it on
 * another node than this (root may).
 */
int caller_check(const struct caller *who, const char *node,
		 struct caller_rights *ret, struct err *err);

/* Its number may be another process's by now; pidfd -1: not known. */
bool caller_lives(int pidfd);
int caller_gone(struct err *err);

#endif
