/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_NEXT_H
#define JOBCR_STORAGE_NEXT_H

#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * From which snapshot a Slurm job is to go on, where that is not simply the
 * newest of its own: a file "next" in its directory in the store.  It is the
 * user's, who may write into it what he likes: it leads to no other snapshots
 * than his.
 */
struct next_start {
	char source[64];     /* the job whose snapshot it is: this or another */
	uint32_t generation; /* of that job */
	uint32_t over;       /* valid while this is the job's own newest */
	uint64_t submitted;  /* Slurm's time of its submission */
};

int next_write(int job_fd, const struct user_id *user,
	       const struct next_start *next, struct err *err);

/* -ENOENT: nothing was said.  -EBADMSG: not one of ours. */
int next_read(int job_fd, const struct user_id *user, struct next_start *ret,
	      struct err *err);

#endif
