/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_IN_USE_H
#define JOBCR_STORAGE_IN_USE_H

#include "storage/as_user.h"
#include "util/err.h"

/*
 * Whoever reads a generation has a shared lock on its manifest, and whoever
 * removes one has to have it alone when its name goes.  A lock ends with its
 * holder, and nobody waits for one: a user who never lets go keeps what is his,
 * and nothing else.  Where files cannot be locked nobody sees who reads.
 *
 * dir_fd is a generation that was opened by its number, in the store or in a
 * fast directory.
 */

/*
 * As long as *ret_fd is open (owned by the caller; -1: nothing can be locked)
 * it is left alone by who does not have to remove it.  -ENOENT: it is gone.
 */
int in_use_enter(int dir_fd, const struct user_id *user, int *ret_fd,
		 struct err *err);

/*
 * With the rights of the caller: nobody begins to read it as long as *ret_fd
 * is open; -1: nobody can tell.  -EBUSY: somebody reads it.
 */
int in_use_keep_out(int dir_fd, int *ret_fd, struct err *err);

/* Of who reads it, r as in err: -ENOENT if it was removed meanwhile, else r. */
int in_use_blame(int dir_fd, const struct user_id *user, int r,
		 struct err *err);

#endif
