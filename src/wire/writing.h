/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_WRITING_H
#define JOBCR_WIRE_WRITING_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Whether snapshots of this node are being written.  To remove others takes a
 * third of a disk's rate, so who does not have to do that waits.  Not without
 * end: after WRITING_WAIT_S it is done all the same, and at once for as long
 * after a snapshot has found no room.  A lock on RUNDIR/writing, gone with who
 * holds it.
 */
#define WRITING_WAIT_S 600

/* *ret_fd: until it is closed. */
int writing_begin(const char *run_dir, int *ret_fd, struct err *err);

void writing_no_room(const char *run_dir);

/* since_ns: CLOCK_MONOTONIC, when it was wanted. */
bool writing_may_remove(const char *run_dir, uint64_t since_ns);

/* Until it may. */
void writing_await(const char *run_dir, uint64_t since_ns);

/*
 * true: what is to be retired of a job has to wait.  That is noted, and jobcrd
 * does it when it may; ended: all of the job.  What waits already when the job
 * has its next snapshot does not any more: it never has two too many.
 */
bool writing_put_off(const char *run_dir, const char *job_id, bool ended);

#endif
