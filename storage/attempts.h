/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_ATTEMPTS_H
#define JOBCR_STORAGE_ATTEMPTS_H

#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * What became of a job's restores, in the file "attempts" of its directory in
 * the store: whichever node is next must know.  It belongs to the job's user,
 * who can by it only make the own job wait, or start over.
 */
struct attempts {
	uint32_t bad_from, bad_to; /* could not be restored; 0: none is bad */
	uint32_t generation;       /* restored last ... */
	uint32_t count;            /* ... and so often in a row */
	uint32_t died; /* the job ended at once after a restore of it; 0 */
};

/* No file, or not one of ours: nothing is known, all 0. */
int attempts_read(int job_fd, const struct user_id *user, struct attempts *ret,
		  struct err *err);

/* Replaced as a whole. */
int attempts_write(int job_fd, const struct user_id *user,
		   const struct attempts *a, struct err *err);

/*
 * The newest complete generation that is not known to be bad; 0: there is
 * none.
 */
int attempts_choose(int job_fd, const struct user_id *user,
		    const struct attempts *a, uint32_t *ret, struct err *err);

#endif
