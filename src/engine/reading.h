/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_READING_H
#define JOBCR_ENGINE_READING_H

#include <stddef.h>

#include "engine/engine.h"
#include "engine/scatter.h"
#include "snapshot/blocks.h"
#include "storage/reader.h"

/*
 * Threads that read pieces of a snapshot, each its own share of the streams
 * through its own ring.  They begin at once, and wait with what they have in
 * their buffers until somebody wants it: so storage is at work while the
 * processes are still built.  Memory taken is what the readers hold.
 */
struct reading;

/* What a thread puts with. */
struct reading_hand {
	struct scatter *memory; /* flushed at its end */
	uint64_t nodes;         /* the caller's; 0 at first */
};

/*
 * In the threads of the reading.  settle: before anything else there, with its
 * number and its share.  A negative return of put ends the reading.
 */
typedef void (*reading_settle_fn)(void *arg, unsigned int number,
				  const struct read_piece *pieces,
				  size_t count);
typedef int (*reading_put_fn)(void *arg, struct reading_hand *hand,
			      const struct read_piece *piece,
			      const uint8_t *data, struct err *err);

/*
 * pieces are sorted by stream and offset, and borrowed as all else is; their
 * tags may change until reading_end.
 */
struct reading_args {
	const struct restart_args *restart;
	const PartEntry *part;
	const struct blocks *blocks;
	const struct read_piece *pieces;
	size_t count;
	reading_settle_fn settle;
	void *arg; /* of settle */
};
int reading_begin(const struct reading_args *args, struct reading **ret,
		  struct err *err);

/* Let it go on; returns when all was handed over. */
int reading_end(struct reading *r, reading_put_fn put, void *arg,
		struct err *err);

/* What was not wanted is dropped.  NULL too. */
void reading_free(struct reading *r);

#endif
