/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_ENDED_H
#define JOBCR_STORAGE_ENDED_H

#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * A job that is over for Slurm is marked in its directory, by a file "ended"
 * of its user's; after a while what the mark is on is retired.  Whoever makes
 * it himself loses nothing but his own snapshots.
 *
 * A job that starts again after all clears the mark.  Retiring begins with a
 * rename of the mark, so that one of the two comes first, on whatever nodes.
 */
struct ended_mark {
	char state[24]; /* Slurm's word: COMPLETED, FAILED ... */
	uint64_t at_ns; /* CLOCK_REALTIME */
};

int ended_write(int job_fd, const struct user_id *user,
		const struct ended_mark *mark, struct err *err);

/* -ENOENT: it is not known to have ended. */
int ended_read(int job_fd, const struct user_id *user, struct ended_mark *ret,
	       struct err *err);

/* It starts again.  -EBUSY: it is being retired, what is there is no more. */
int ended_clear(int job_fd, const struct user_id *user, struct err *err);

/* Retire it.  -ENOENT: it has started again, or never ended. */
int ended_claim(int job_fd, const struct user_id *user, struct err *err);

/*
 * Out of the way of what comes under the same id: STORE/CLUSTER/JOBID becomes
 * JOBID.retired, where one from before is replaced.  Its snapshots are
 * removed; the history stays.  -EBUSY: one of them is to be kept, also if that
 * was said in this moment; all is as before ended_claim.
 */
#define ENDED_SUFFIX ".retired"
int ended_retire(const char *store, const char *cluster, const char *job,
		 const struct user_id *user, struct err *err);

/* One that is JOBID.retired (job_fd) and has a snapshot to keep is JOBID. */
int ended_take_back(const char *store, const char *cluster, const char *job,
		    int job_fd, const struct user_id *user, struct err *err);

#endif
