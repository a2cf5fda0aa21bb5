/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_CORE_PARTS_H
#define JOBCR_SNAPSHOT_CORE_PARTS_H

#include "images/mm.pb-c.h"
#include "images/task.pb-c.h"
#include "snapshot/snapshot.h"

/* Records by what they are about: a pid, a tid, an object. */
struct core_key {
	uint32_t tag, number;
	const void *msg;
};

/* One process of a part. */
struct core_source {
	const struct meta *meta;
	const TaskRecord *task;
	const MmRecord *mm;
	const VmaRecord **vmas;
	size_t nvmas;
	struct core_key *index;
	size_t nindex;
};

/* Make the index; owned: free. */
int core_index(struct core_source *src, struct err *err);

/* The record of this tag about this number, or NULL. */
const void *core_find(const struct core_source *src, uint32_t tag,
		      uint32_t number);

/* All of them, one after the other; NULL behind the last. */
const struct core_key *core_first(const struct core_source *src, uint32_t tag,
				  uint32_t number);
const struct core_key *core_next(const struct core_source *src,
				 const struct core_key *key);

/* The name of a file that is mapped, or NULL; borrowed. */
const ProtobufCBinaryData *core_file_name(const struct core_source *src,
					  const VmaRecord *vma);

/*
 * What a debugger reads before memory: notes on threads, the process, its
 * files.  arguments: its command line.  Owned by the caller.
 */
int core_notes(const struct core_source *src, const char *arguments,
	       uint8_t **ret, size_t *ret_len, struct err *err);

/* Their size, which does not depend on the arguments. */
int core_notes_size(const struct core_source *src, size_t *ret,
		    struct err *err);

#endif
