/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_SMALL_H
#define JOBCR_STORAGE_SMALL_H

#include <stddef.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * Small files of a job's directory.  It is the user's, who may have put
 * anything there: links are not followed, and a FIFO is not waited for.
 */

/*
 * Put data in the place of whatever has that name, by way of NAME.new: whoever
 * reads sees the old or the new one whole, after a crash too.  Durable when
 * this returns 0.  user: with whose rights; NULL: as we are.
 */
int small_write(int dir_fd, const struct user_id *user, const char *name,
		const void *data, size_t len, struct err *err);

/*
 * Its first room - 1 bytes, NUL-terminated.  -ENOENT: there is none.
 * -EBADMSG: not a regular file.
 */
int small_read(int dir_fd, const struct user_id *user, const char *name,
	       char *ret, size_t room, struct err *err);

/* A durable file that nothing names yet but this; an older one goes first. */
int small_create(int dir_fd, const char *name, const void *data, size_t len,
		 struct err *err);

#endif
