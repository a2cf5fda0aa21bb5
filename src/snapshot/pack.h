/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_PACK_H
#define JOBCR_SNAPSHOT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Blocks of pages made smaller on their way to storage, and back.  Shuffled:
 * the first bytes of all 8-byte words come first, then the second ones, and so
 * on, which brings together what numbers of a field have in common.  The
 * numbers are those of Block.codec; none is ever reused.
 */
enum codec {
	CODEC_NONE,
	CODEC_LZ4,
	CODEC_SHUFFLE_LZ4,
	CODEC_ZSTD,
	CODEC_SHUFFLE_ZSTD,
	CODECS
};

/* How much time a block is worth. */
enum pack_effort {
	PACK_NONE,
	PACK_FAST,  /* LZ4, 0.5 to 4 GB/s a core */
	PACK_SMALL, /* zstd, 0.3 to 1 GB/s a core */
	PACK_EFFORTS
};

/*
 * Scratch memory of one thread, two blocks' worth; owned by the caller.
 * NULL when there is no memory.
 */
struct packer;
struct packer *packer_new(void);
void packer_free(struct packer *p);

struct packed {
	enum codec codec;
	uint32_t stored; /* whole pages, or len as it was: CODEC_NONE */
	uint32_t packed; /* of it; the rest of the last page is zero */
};

/*
 * Pack len bytes (whole pages, at most BLOCK_MAX_BYTES) in place, unless what
 * is gained is less than a tenth by samples or than a page.
 */
struct packed pack_block(struct packer *p, enum pack_effort effort,
			 uint8_t *data, size_t len);

/*
 * Unpack into exactly len bytes, which are the packer's until its next call.
 * The input is hostile; -EBADMSG: it is not what codec makes of len bytes.
 */
int unpack_block(struct packer *p, enum codec codec, const uint8_t *data,
		 size_t packed, size_t len, const uint8_t **ret,
		 struct err *err);

#endif
