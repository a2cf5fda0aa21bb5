/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_CHECKPOINT_H
#define JOBCR_OPERATION_CHECKPOINT_H

#include "operation/caller.h"
#include "operation/operation.h"
#include "operation/worker.h"
#include "wire/control.h"

/* A checkpoint of a job with a supervisor; authorisation is the caller's. */
struct checkpoint {
	const struct control_info *info;
	const char *cause;
	const struct caller *caller; /* the owner's groups are taken over
					when it is the owner; or NULL */
	bool kill, ask, stepping, put_aside;
	bool shelter; /* others may kill it while it is saved */
	bool look;    /* only say what would refuse */
	bool fast;    /* FastDir may be used: jobcrd runs and flushes it */
	bool allow_uprobes;
	unsigned int timeout_s;
};
/*
 * Where FastDir was used and has failed, though the job was well, the store is
 * used after all; the outcome says why.
 */
int checkpoint_job(const struct conf *conf, const struct checkpoint *c,
		   const struct worker_hooks *hooks, Reply **ret,
		   struct err *err);

/*
 * Build a job into a supervisor that waits for it (its state is
 * CONTROL_RESTORING).  dir: instead of the store.  The supervisor is told to
 * end when this fails, unless keep says that it may be tried again.
 */
struct restore {
	const char *job_id;
	uint32_t generation; /* 0: the newest */
	const char *dir;
	const struct control_info *info;
	const struct caller *caller;        /* as above */
	const struct caller_rights *rights; /* of whom it is started for; or
					       NULL */
	bool stepping, keep, allow_uprobes;
	uint32_t files; /* enum file_policy */
	char **maps;    /* of paths, nmaps of them */
	size_t nmaps;
	char **addresses; /* that have moved, naddresses of them */
	size_t naddresses;
	unsigned int timeout_s;
};
int restore_job(const struct conf *conf, const struct restore *p,
		const struct worker_hooks *hooks, Reply **ret, struct err *err);

#endif
