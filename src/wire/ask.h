/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_ASK_H
#define JOBCR_WIRE_ASK_H

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "wire/control.h"

/*
 * The one question that the launch of a job waits for: has jobcrd a snapshot
 * to go on from?  SOCK_SEQPACKET at RUNDIR/ask, root only (SO_PEERCRED), one
 * question and its answer per connection; fixed structs, so that slurmstepd
 * need not carry a parser.
 */
#define ASK_MAGIC 0x6a636131u /* "jca1" */

struct ask_question {
	uint32_t magic;
	uint32_t uid, gid; /* the job's owner, as Slurm says */
	char job_id[JOB_ID_MAX];
};

struct ask_answer {
	uint32_t magic;
	int32_t result;      /* 0, or a negative errno: it cannot be told;
				-EINPROGRESS: another answer comes */
	uint32_t generation; /* newest complete snapshot; 0: there is none */
	char text[256];      /* of an error */
};

/*
 * *ret_generation 0: a fresh start.  -ECONNREFUSED or -ENOENT: no jobcrd runs
 * on this node; -ETIMEDOUT after timeout_ms in which jobcrd said nothing.
 * What jobcrd cannot tell, and why, begins with "jobcrd: ".
 */
int ask_snapshot(const char *run_dir, const char *job_id, uid_t uid, gid_t gid,
		 int timeout_ms, uint32_t *ret_generation, struct err *err);

/*
 * jobcrd's side.  ask_accept returns a connection whose peer is root and
 * whose question has been read (-EAGAIN: nothing there, or not one of ours);
 * ask_reply answers and closes it (taken).  Neither waits.  ask_waits says
 * that the answer takes longer.
 */
int ask_listen(const char *run_dir, int *ret_fd, struct err *err);
int ask_accept(int listen_fd, struct ask_question *ret, int *ret_fd,
	       struct err *err);
void ask_waits(int fd);
void ask_reply(int fd, int result, uint32_t generation, const char *text);

#endif
