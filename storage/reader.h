/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_READER_H
#define JOBCR_STORAGE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Deep reads of page streams through one io_uring: O_DIRECT and registered
 * buffers, or buffered.  Pieces are delivered in any order.
 */
struct reader;
struct depth; /* depth.h */

struct reader_limits {
	size_t buffer_bytes;  /* a multiple of 4096; 0: 4 MiB */
	unsigned int buffers; /* 0: 8 */
	int no_direct;        /* never O_DIRECT */
	/*
	 * What the page cache has comes from there: quicker where storage is
	 * slow or far, but it says nothing of what is stored.
	 */
	int from_cache;
	/* Of all readers at once, each has as many in flight; NULL: its own. */
	struct depth *depth;
};

/* Where a depth that is shared by readers with so many buffers begins. */
unsigned int reader_depth(unsigned int buffers);

/* One piece to be read; tag is the caller's and comes back with the data. */
struct read_piece {
	uint32_t stream; /* as reader_open numbered it */
	uint32_t len;    /* bytes, a multiple of 4096, <= buffer_bytes */
	uint64_t offset; /* a multiple of 4096 */
	uint64_t tag;
};

int reader_new(int dir_fd, const struct reader_limits *limits,
	       struct reader **ret, struct err *err);

/* Open a stream with the calling thread's rights; numbered from 0. */
int reader_open(struct reader *r, const char *name, uint32_t *ret_stream,
		uint64_t *ret_length, struct err *err);

/*
 * Read count pieces; neighbours in a stream that follow each other in the
 * array are read at once, so sort them by offset.  done is called in the
 * caller's thread for each with its data, valid during the call only; a
 * negative return stops everything and is passed on.  A piece beyond the end of
 * its stream is -ENODATA.
 */
typedef int (*reader_done_fn)(void *arg, const struct read_piece *piece,
			      const uint8_t *data, struct err *err);
int reader_run(struct reader *r, const struct read_piece *pieces, size_t count,
	       reader_done_fn done, void *arg, struct err *err);

void reader_free(struct reader *r);

#endif
