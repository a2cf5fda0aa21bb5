/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_HUGE_H
#define JOBCR_SNAPSHOT_HUGE_H

#include "kernel/hugetlb.h"
#include "snapshot/snapshot.h"

/*
 * Huge pages in an image.  A VmaRecord, ShmemRecord or GhostRecord says which
 * size its pages have; without a word they are ordinary ones.
 */

/* Is it a size that there is, and the memory made of whole pages of it? */
int huge_check(const ProtobufCMessage *msg, struct err *err);

/*
 * How many huge pages of each size a restore takes: those that have contents,
 * and those that the kernel promises to mappings.  Not counted are files that
 * may still be at their path.  -EBADMSG: a mapping and what it maps have
 * pages of different sizes.
 */
struct huge_count {
	uint64_t pages[HUGETLB_SIZES];
};
int huge_needed(const struct meta *meta, struct huge_count *ret,
		struct err *err);

#endif
