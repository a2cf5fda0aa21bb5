/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_OUTPUT_H
#define JOBCR_SNAPSHOT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "images/part.pb-c.h"
#include "util/err.h"

/*
 * What a job has written to its output so far, kept with a snapshot: who
 * starts the job again empties that file, and asks nobody before.  The copy
 * is in pieces that are never changed, so that the next generation links
 * those it needs again and copies only what came behind them.
 *
 * All calls act with the rights of the caller, who is the job's user: see
 * storage/as_user.h.
 */

/* -EBADMSG: not a record that may be acted on. */
int output_check(const OutputRecord *rec, struct err *err);

/* A copy that is there already; rec NULL: there is none. */
struct output_copy {
	int dir_fd; /* of its generation */
	const OutputRecord *rec;
};

/*
 * Keep the first rec->size bytes of fd in dir_fd: pieces are added to rec,
 * their names begin with prefix.  They are durable, their names are not.
 * What old has is compared with the file, not taken on trust.  The bytes must
 * not change meanwhile; they are not kept, -ENODATA, when the file has become
 * shorter.  A failure leaves neither pieces nor files.
 */
int output_keep(int fd, int dir_fd, const char *prefix,
		const struct output_copy *old, OutputRecord *rec,
		struct err *err);

/*
 * The file at the record's path begins again with what it held at the cut.
 * One that still does is left alone, however long it is; so is whatever is
 * no regular file, links too.  -EBADMSG: the copy is damaged, and nothing was
 * changed.  *ret_done: the file was written.
 */
int output_put_back(int dir_fd, const OutputRecord *rec, bool *ret_done,
		    struct err *err);

/* -EBADMSG: the copy is not what it was.  alive as in snapshot_verify_parts. */
int output_verify(int dir_fd, const OutputRecord *rec, void (*alive)(void *arg),
		  void *arg, struct err *err);

#endif
