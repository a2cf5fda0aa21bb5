/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_LEASE_H
#define JOBCR_OPERATION_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * When a process began, in ticks since the boot: with its pid it says which
 * process is meant.  0: there is none.
 */
uint64_t lease_process_start(pid_t pid);

/*
 * Is on this node any process left of the runs of a job up to an epoch?  In
 * doubt there is.
 */
bool lease_left_over(const char *run_dir, const char *job_id, uint32_t epoch);

#endif
