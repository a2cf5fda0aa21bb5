/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_EXTENTS_H
#define JOBCR_SNAPSHOT_EXTENTS_H

#include "images/mm.pb-c.h"
#include "snapshot/blocks.h"
#include "snapshot/snapshot.h"

/* One extent with who owns it: pid or object, the other is 0. */
struct extent_ref {
	const Extent *extent;
	int32_t pid;
	uint32_t object;
	uint64_t start, end; /* what of it: all, a part of a borrowed one, or
				what cow_resolve says */
};

struct extent_list {
	struct extent_ref *refs;
	size_t count, room;
	size_t extents; /* of the records */
};

/*
 * All extents of a part in the order of the records, one with parts as often as
 * it has any; owned: free refs.  -EBADMSG: parts that are none.
 */
int extents_collect(const struct meta *meta, struct extent_list *ret,
		    struct err *err);

/* By stream and offset: as they lie in storage; parts of one side by side. */
void extents_sort_by_place(struct extent_list *list);

/*
 * Alone, in their streams, and within their owners: see snapshot_check_meta.
 * Leaves the list sorted by place.
 */
int extents_check(const struct blocks *blocks, const struct meta *meta,
		  struct extent_list *list, struct err *err);

#endif
