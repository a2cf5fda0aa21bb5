/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_TIER_DIR_H
#define JOBCR_STORAGE_TIER_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/as_user.h"
#include "storage/tier.h"
#include "util/err.h"

/*
 * A job's directory below FastDir: what is there to be flushed, and what can
 * go.  fast_fd is that directory, job_fd the job's in the store; all is done
 * with the rights of user, as in store.h.
 */

/* create: made where need be.  -ENOENT, -EPERM: as store_open_job. */
int tier_dir_open(const char *fast, const char *cluster, const char *job,
		  bool create, const struct user_id *user, int *ret_fd,
		  struct err *err);

/* The first that is not in the store yet; 0: there is none. */
int tier_dir_pending(int fast_fd, const struct user_id *user, uint32_t *ret,
		     struct err *err);

/* How a generation stands in the store. */
enum tier_state {
	TIER_UNWANTED, /* removed there, or of another job of that number */
	TIER_WAITS,    /* it is to be written there */
	TIER_LATE,     /* as above, but a later run has passed it over */
	TIER_STORED,   /* whole */
};
int tier_dir_look(int fast_fd, int job_fd, uint32_t number,
		  const struct user_id *user, enum tier_state *ret,
		  struct err *err);

/* It is in the store; what is here may be restored from, and may go. */
int tier_dir_settle(int fast_fd, uint32_t number, const struct user_id *user,
		    struct err *err);

/*
 * Remove those that are in the store, but for the newest of all (newest: that
 * one, too), and what dead attempts have left.
 */
int tier_dir_trim(int fast_fd, bool newest, const struct user_id *user,
		  struct err *err);

/*
 * The attempt in the store that a generation is written into, which nobody
 * else works at while *ret_dir_fd is open; it is empty but for its mark, and
 * that it is kept.
 * -EBUSY: somebody does.
 */
int tier_dir_target(int job_fd, uint32_t number, const struct user_id *user,
		    int *ret_dir_fd, struct err *err);

#endif
