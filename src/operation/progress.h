/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_PROGRESS_H
#define JOBCR_OPERATION_PROGRESS_H

#include "conf/conf.h"
#include "operation/worker.h"
#include "wire/control.h"
#include "wire/record.h"

/*
 * What is being done to a job, in its records (wire/record.h): between begin
 * and one of the ends record_doing is there and follows the phases.  A record
 * that cannot be written is done without.
 */
struct progress {
	const struct conf *conf;
	const struct control_info *info;
	const struct worker_hooks *above; /* of the caller: passed on to */
	struct worker_hooks hooks;        /* for worker_run */
	struct record_doing doing;
	struct record_last last;
	uint64_t tree_bytes;
};

/* what: "checkpoint" or "restore".  All but *p is borrowed. */
void progress_begin(struct progress *p, const struct conf *conf,
		    const struct control_info *info,
		    const struct worker_hooks *above, const char *what,
		    const char *cause);

/* r, reply (or NULL) and err as worker_run leaves them. */
void progress_end_checkpoint(struct progress *p, int r, const Reply *reply,
			     const struct err *err);
void progress_end_restore(struct progress *p);

#endif
