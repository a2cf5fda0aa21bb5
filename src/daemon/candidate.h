/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_CANDIDATE_H
#define JOBCR_DAEMON_CANDIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "storage/as_user.h"
#include "util/err.h"

/* A job of Slurm's in the store whose snapshots may have to go. */

/* Slurm forgets jobs that ended some minutes ago. */
#define CANDIDATE_UNKNOWN "UNKNOWN"
#define CANDIDATE_FOREVER UINT64_MAX

/* One directory of the store. */
struct candidate {
	const struct conf *conf;
	const char *name; /* JOBID, or JOBID.retired */
	struct user_id user;
	int job_fd;
};

/* Its owner is its user: nobody can make a directory another's. */
int candidate_open(const struct conf *conf, const char *name,
		   struct candidate *ret, struct err *err);
void candidate_done(struct candidate *c);

/* A word of Slurm's for jobs that are over, or CANDIDATE_UNKNOWN. */
bool candidate_is_over(const char *state);

/*
 * How long its snapshots stay, in seconds; a word that we do not know is none
 * to delete anything for.
 */
uint64_t candidate_keep_s(const struct conf *conf, const char *state);

/* Somebody wants one of its snapshots; also when that cannot be seen. */
bool candidate_has_kept(const struct candidate *c);

/* It is over, and not marked yet.  1: nothing was worth a mark, and it went. */
int candidate_settle(const struct candidate *c, const char *state,
		     struct err *err);

/* Claimed first: a job that starts again in this moment is not touched. */
int candidate_retire(const struct candidate *c, struct err *err);

#endif
