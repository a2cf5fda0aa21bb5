/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_RESUBMIT_H
#define JOBCR_DAEMON_RESUBMIT_H

#include <stdbool.h>

#include "daemon/subject.h"
#include "operation/operation.h"
#include "util/err.h"

/*
 * How the job was submitted, and its environment, go to its directory in the
 * store beside its snapshots: one that Slurm has forgotten can be submitted
 * again.  Once per run; as the job's user; a failure is logged.
 */
void resubmit_keep(struct subject *s);

/* A request for the restore of a job of Slurm's? */
bool resubmit_wanted(const Request *req);

/*
 * jobcr restore JOBID: a pending job is released, one that has ended is
 * requeued under its id, one that may not be, or that Slurm has forgotten, is
 * submitted again under a new one.  It goes on where the snapshot was taken
 * when Slurm starts it.
 */
int resubmit_job(const struct operation *op, struct err *err);

#endif
