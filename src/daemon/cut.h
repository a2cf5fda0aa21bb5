/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_CUT_H
#define JOBCR_DAEMON_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/subject.h"
#include "util/err.h"

/* What becomes of the job when its snapshot is durable. */
enum cut_after {
	CUT_GO_ON,
	CUT_REQUEUE,      /* back into the queue, may start at once */
	CUT_REQUEUE_HOLD, /* ... when somebody releases it */
	CUT_REQUEUED,     /* Slurm has requeued it by itself: only end it */
	CUT_END,          /* it ends as Slurm says; the snapshot is kept */
};

struct cut {
	const char *cause; /* manifest.proto has the words */
	enum cut_after after;
	const char *reason; /* CUT_REQUEUE_HOLD: for scontrol show job */
	/* What it does at the moment, for a caller that shows it; or NULL. */
	void (*phase)(void *arg, const char *phase);
	void *arg;
};

struct cut_result {
	bool requeued; /* Slurm has it in its queue again */
	bool fast;     /* it lies in FastDir, not in the store yet */
	uint32_t generation, tasks, threads;
	uint64_t frozen_ns, total_ns, page_bytes, pages_ns;
	char refusal[256]; /* the first of them, with its remedy; or "" */
};

/*
 * Checkpoint a Slurm job for a cause; log it, keep its numbers.  On an error
 * the job goes on as before, unless ret->requeued says that it will start
 * again from the snapshot.  One that Slurm is ending (CUT_REQUEUED) and that
 * could not be saved any more starts again from its last snapshot, if any.
 */
int cut_job(struct subject *s, const struct cut *cut, struct cut_result *ret,
	    struct err *err);

#endif
