/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_SLICE_H
#define JOBCR_ENGINE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/nearby.h"
#include "engine/pin.h"
#include "snapshot/pack.h"
#include "storage/writer.h"
#include "util/err.h"

/*
 * One buffer's worth of pages of one owner on its way: pieces to be read,
 * extents that came of them.  Filled by reader threads.
 */
#define SLICE_PIECES 1024 /* what one process_vm_readv can take */

struct slice_piece {
	uint64_t address; /* or offset in the file */
	uint32_t pages;
	bool keep_zero, readable;
	/* Of huge pages: the first ordinary one of each is kept, so that it
	 * is seen that it is there.  Their size, or 0. */
	uint64_t huge;
};

struct slice_extent {
	uint64_t address;
	uint32_t pages;
	uint32_t at; /* offset in the buffer, in pages */
	uint64_t hash;
	uint64_t nodes; /* positions, see nearby.h; 0: not known */
};

struct slice {
	/* Owner: a process, or a file. */
	pid_t pid, ns_pid;
	int proc_fd;
	const struct pin_memory *pinned; /* or NULL: the process lives */
	uint32_t object;
	int fd;

	struct writer_buffer buffer;
	struct slice_piece pieces[SLICE_PIECES];
	size_t npieces, pages;

	struct slice_extent extents[SLICE_PIECES];
	size_t nextents, kept; /* pages at the buffer's start */

	enum pack_effort effort;
	struct packed packed; /* of what is kept */
	uint64_t hash;        /* of packed.stored bytes, if packed */
	bool begun, done;
	int result;
	struct err err;
};

/*
 * Read, drop pages of zeroes, compute checksums, pack; result and err are
 * set.  *packer is made when one is needed; without memory nothing is packed.
 */
void slice_fill(struct slice *s, const struct nearby *nearby,
		struct packer **packer);

#endif
