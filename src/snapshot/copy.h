/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_COPY_H
#define JOBCR_SNAPSHOT_COPY_H

#include <stdint.h>

#include "images/manifest.pb-c.h"
#include "storage/as_user.h"
#include "util/err.h"

struct bucket; /* storage/bucket.h */

/*
 * The files of a generation from one directory to another, durable, but for
 * the manifest, which the caller publishes: not before snapshot_verify_parts
 * finds from_fd whole after this, so that no damage goes with the copy.
 *
 * What is borrowed is linked where a generation of job_fd has it, as far as
 * that is found to be whole (copy_link.h): m was verified before, at least its
 * files.
 */
struct copy {
	int from_fd, to_fd; /* borrowed, all three */
	int job_fd;         /* of the generations beside to_fd */
	const struct user_id *user;
	struct bucket *bandwidth; /* borrowed; NULL: no limit */
	int no_direct;
	/* Called now and then, and at the end; or NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/* An older one is not as it was, so a file of it is copied; or NULL. */
	void (*damaged)(void *arg, const char *what);
	void *arg;
};

/* -EBADMSG: from_fd is damaged. */
int snapshot_copy(const struct copy *c, const ManifestRecord *m,
		  uint64_t *ret_written, struct err *err);

#endif
