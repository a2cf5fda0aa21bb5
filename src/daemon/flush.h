/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_FLUSH_H
#define JOBCR_DAEMON_FLUSH_H

#include <stdbool.h>

#include "conf/conf.h"

enum flush_result {
	FLUSH_NOTHING, /* there is nothing to be done */
	FLUSH_FAILED,
	FLUSH_AGAIN, /* done, or another process is at it: look again */
};

/*
 * Take the first snapshot of a job that is not in the store there; where there
 * is none, tidy: look which copies are of no use any more.  look_s: looking at
 * the job's files, which are its user's, ends the caller (SIGALRM) after so
 * many seconds; 0: never.
 */
enum flush_result flush_job(const struct conf *conf, const char *cluster,
			    const char *job, bool tidy, unsigned int look_s);

/*
 * In a child, which ends after so many seconds: tell other nodes that what a
 * job has here is still to come.
 */
void flush_beat(const struct conf *conf, const char *cluster, const char *job,
		unsigned int limit_s);

/*
 * Until what FastDir has of a job of Slurm's is in the store, where other nodes
 * find it; not for longer than Timeout, nor when that fails.
 */
void flush_await(const struct conf *conf, const char *job_id);

#endif
