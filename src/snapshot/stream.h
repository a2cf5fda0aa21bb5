/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_STREAM_H
#define JOBCR_SNAPSHOT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/* Text of an image that may be printed as it is (util/plain.h). */
bool stream_text_ok(const char *text);

/* A file in the generation's directory, but not the manifest. */
bool stream_name_ok(const char *name);

/*
 * Open a stream for reading: a regular file, never a link or a fifo.  -EPERM:
 * it is neither the user's nor root's.
 */
int stream_open(int dir_fd, const struct user_id *user, const char *name,
		int *ret_fd, uint64_t *ret_length, struct err *err);

/*
 * All of a stream in memory, owned by the caller.  More than limit bytes:
 * -EBADMSG.  expected is the length that it must have, 0: any.
 */
int stream_load(int dir_fd, const struct user_id *user, const char *name,
		uint64_t expected, uint64_t limit, uint8_t **ret,
		size_t *ret_len, struct err *err);

#endif
