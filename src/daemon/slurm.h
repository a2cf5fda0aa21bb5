/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_SLURM_H
#define JOBCR_DAEMON_SLURM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * What jobcrd asks of and tells slurmctld, through jobcr-slurm in libexec.
 * Every call waits for that program: from a forked operation only, never from
 * the loop.
 */
enum slurm_reason {
	SLURM_REASON_NONE,    /* runs, nothing was asked of it */
	SLURM_REASON_PREEMPT, /* in its grace time, or over it */
	SLURM_REASON_REQUEUE, /* pending again: requeued by somebody */
	SLURM_REASON_CANCEL,
	SLURM_REASON_TIMELIMIT,
	SLURM_REASON_NODE,
	SLURM_REASON_ENDED,
};

struct slurm_job {
	enum slurm_reason reason;
	char state[24];  /* Slurm's word for it */
	char node[64];   /* where it runs, of one node; or a list, cut off */
	bool requeue;    /* Slurm may requeue it */
	bool pending;    /* it is in the queue, again if it was started */
	bool running;    /* ... not suspended */
	bool completing; /* its processes are being ended */
	bool suspended;  /* its processes are stopped */
	bool held;       /* it does not start until somebody releases it */
	bool noted;      /* its AdminComment has something of ours */
	uid_t uid;
	gid_t gid;
	uint32_t nodes, restarts;
	uint64_t preempt_time, end_time; /* Unix seconds, 0: none */
	uint64_t submit_time;
	/* From SIGTERM to SIGKILL; 0: not known, or nobody ends it. */
	uint32_t kill_wait_s;
};

/* What jobcr-slurm printed; a node's jobs are the most of it. */
#define SLURM_OUTPUT_MAX (256u << 10)
struct slurm_output {
	char text[SLURM_OUTPUT_MAX];
	size_t len;
};

/*
 * One call: words are its arguments, two or more, NULL-terminated.  What it
 * complained of is the error; -ENOENT: no such job or node; -EACCES: Slurm
 * does not let that user.
 */
int slurm_run(const char *libexec, const char *const *words,
	      struct slurm_output *ret, struct err *err);

/* The value of "key=value" on a line of its own. */
int slurm_find(const struct slurm_output *out, const char *key, char *ret,
	       size_t room, struct err *err);

/* -ENOENT: slurmctld does not know the job (any more). */
int slurm_query(const char *libexec, uint32_t job, struct slurm_job *ret,
		struct err *err);

/* The same of an id in words; -EINVAL: no such is Slurm's. */
int slurm_query_id(const char *libexec, const char *job_id,
		   struct slurm_job *ret, struct err *err);

/*
 * Back into the queue under the same id; Slurm then ends its processes.  One
 * that is in it already is all right.  -ECANCELED: it was ended by scancel, or
 * is being.  _ended: somebody wants it back who knows that it has ended.
 */
int slurm_requeue_job(const char *libexec, uint32_t job, struct err *err);
int slurm_requeue_ended(const char *libexec, uint32_t job, struct err *err);

/*
 * When a requeued job has left its node (waits for that): let it start now,
 * not when its last credential has expired.
 */
int slurm_start_job(const char *libexec, uint32_t job, struct err *err);

/*
 * Requeue and hold a job that runs, or has just ended, with the reason where
 * "scontrol show job" has it.  -ECANCELED: it was ended by scancel.
 */
int slurm_hold_job(const char *libexec, uint32_t job, const char *reason,
		   struct err *err);

/*
 * Its AdminComment, as far as it is ours (begins with "jobcr: ") or empty;
 * other people's stays as it is.
 */
int slurm_comment_job(const char *libexec, uint32_t job, const char *text,
		      struct err *err);

#endif
