/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_REREAD_H
#define JOBCR_SNAPSHOT_REREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/blocks.h"
#include "storage/as_user.h"
#include "storage/bucket.h"
#include "util/err.h"

/*
 * What generations have in common is read once more and compared with its
 * hashes: from storage and not from the page cache, which may have it whole
 * though the storage has not.
 */
struct reread {
	int dir_fd; /* borrowed, as all of it */
	const struct user_id *user;
	const PartEntry *part; /* all its page streams are opened */
	const struct blocks *blocks;
	uint32_t base; /* stream base + k of extents is k of part and blocks */
	const Extent *const *extents; /* by place */
	size_t count;
	bool no_direct;
	struct bucket *bandwidth; /* NULL: no limit */
	/* Called with each; negative: it is not wanted any more.  Or NULL. */
	int (*go_on)(void *arg, struct err *err);
	void *arg;
};

/* -EBADMSG: it is damaged; others: not readable. */
int snapshot_reread(const struct reread *r, struct err *err);

/*
 * A stream is read whole when a generation has it from another for the first
 * time.  After that each generation reads an eighth, and the next one the next:
 * where that lies stays as it is.  What those would have read that are not
 * there, as they failed or were another run's, is read with the next.  last:
 * the one before it, which is lower.
 */
bool reread_has_turn(const Extent *x, uint32_t last, uint32_t generation);

#endif
