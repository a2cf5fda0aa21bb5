/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_BLOCKS_H
#define JOBCR_SNAPSHOT_BLOCKS_H

#include "images/mm.pb-c.h"
#include "snapshot/snapshot.h"
#include "storage/reader.h"
#include "util/err.h"

/*
 * How the page streams of a part lie in their files: see BlocksRecord.
 * { .part = part } is one of streams that lie as they are.
 */
struct block_place {
	uint64_t at;     /* unpacked bytes before it */
	uint64_t offset; /* stored ones */
	const Block *block;
};

struct block_stream {
	struct block_place *places;
	size_t count, room;
	uint64_t at, offset; /* of what comes next */
};

struct blocks {
	const PartEntry *part;        /* borrowed */
	struct block_stream *streams; /* as many as the part has, or NULL */
	size_t count;
};

/*
 * Take the next record; it is borrowed.  -EBADMSG: it cannot be true.
 * Owned by the caller, also after a failure: blocks_done.
 */
int blocks_add(struct blocks *b, const BlocksRecord *rec, struct err *err);

/* All are there: each stream with blocks must end where its file does. */
int blocks_check(const struct blocks *b, struct err *err);

/* Both, with all records of a part. */
int blocks_collect(const struct meta *meta, struct blocks *ret,
		   struct err *err);

void blocks_done(struct blocks *b);

/* Unpacked bytes of a stream of the part (from 1). */
uint64_t blocks_length(const struct blocks *b, size_t stream);

/* The end, in unpacked bytes, of the block with this byte of a stream. */
uint64_t blocks_end(const struct blocks *b, size_t stream, uint64_t at);

/*
 * As reader_run, with offsets of pieces in unpacked bytes: a piece that is in
 * no block, or in more than one, is -EBADMSG.
 */
int blocks_read(struct reader *r, const struct blocks *b,
		const struct read_piece *pieces, size_t count,
		reader_done_fn done, void *arg, struct err *err);

#endif
