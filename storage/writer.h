/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_WRITER_H
#define JOBCR_STORAGE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Streams on their way to storage through one io_uring: O_DIRECT with
 * registered buffers where the file system takes it, buffered where not
 * (probed per directory).  A writer belongs to one thread; only the bytes of
 * a buffer that it handed out may be filled by others.  It knows files and
 * offsets, not records.  After a failure every call fails with the same text.
 * Requests are made by a thread of the writer's: the caller can be killed at
 * any time, also while storage hangs.
 */
struct writer;
struct bucket;     /* bucket.h */
struct ring_homes; /* ring.h */

struct writer_limits {
	size_t buffer_bytes;  /* of one buffer, whole MiB; 0: 4 MiB */
	unsigned int buffers; /* how many; bounds the memory taken; 0: 8 */
	unsigned int ready;   /* so many have their memory at once; 0: all */
	int no_direct;        /* never O_DIRECT */
	struct bucket *bandwidth;       /* borrowed; NULL: no limit */
	const struct ring_homes *homes; /* NULL: buffers are anywhere */
};

/*
 * Start writing below dir_fd: borrowed, must outlive the writer.  limits may
 * be NULL.
 */
int writer_new(int dir_fd, const struct writer_limits *limits,
	       struct writer **ret, struct err *err);

/*
 * Create a stream (O_EXCL, mode 0600) with the file system rights of the
 * calling thread: see as_user.h.  *ret_stream counts up from 0.
 */
int writer_open(struct writer *w, const char *name, uint32_t *ret_stream,
		struct err *err);

/*
 * Append len bytes.  data is copied: the caller may reuse it.  Waits while
 * all buffers are in flight.  -ENOSPC, -EDQUOT and -EIO are final.
 */
int writer_put(struct writer *w, uint32_t stream, const void *data, size_t len,
	       struct err *err);

/*
 * A registered, page-aligned buffer to be filled by the caller in place and
 * given back with writer_submit.  Waits until one is free; -EBUSY when all
 * are held by the caller and by streams of writer_put (one each).
 */
struct writer_buffer {
	uint8_t *data;
	size_t room;
	unsigned int index;
	int home; /* as homes said */
};
int writer_get_buffer(struct writer *w, struct writer_buffer *ret,
		      struct err *err);

/* The same; where several are free, one with this home, if there is one. */
int writer_get_buffer_of(struct writer *w, int home, struct writer_buffer *ret,
			 struct err *err);

/* writer_get_buffer would not wait, or fail at once. */
bool writer_has_buffer(struct writer *w);

/* How many it would not wait for: what is done by now is taken back. */
int writer_spare(struct writer *w, unsigned int *ret, struct err *err);

/*
 * Write the first len bytes (a multiple of 4096) of a buffer at the end of
 * stream; *ret_offset says where that is.  The buffer is the writer's again.
 * Do not mix with writer_put on one stream.  len 0 gives the buffer back.
 */
int writer_submit(struct writer *w, uint32_t stream,
		  const struct writer_buffer *buffer, size_t len,
		  uint64_t *ret_offset, struct err *err);

/* Bytes appended to a stream so far. */
uint64_t writer_length(const struct writer *w, uint32_t stream);

/*
 * Wait for everything in flight, cut every stream to its length, fsync it.
 * After this the streams are durable; their names only after the directory's
 * fsync, which publish does.
 */
int writer_finish(struct writer *w, struct err *err);

/* Release in any state, NULL too.  Unfinished streams stay unpublished. */
void writer_free(struct writer *w);

#endif
