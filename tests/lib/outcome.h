/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_OUTCOME_H
#define JOBCR_TESTS_LIB_OUTCOME_H

#include "drive.h"

/* What a worker of drive.c has found, in words. */
void outcome_findings(struct drive_outcome *out, const struct refusals *no);

/* Read the result before the deadline, else kill the worker. */
int outcome_collect(pid_t pid, int results, struct drive_outcome *out);

/* A letter in shelter: does the process stand still? */
void outcome_shelter(struct drive_outcome *out, pid_t pid, char still,
		     char not_still);

#endif
