/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_RING_H
#define JOBCR_STORAGE_RING_H

#include <limits.h>
#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define RING_FILES 128u /* those beyond are looked up at each request */

/*
 * What writer and reader have in common: one io_uring, an arena of aligned
 * buffers, one request in flight per buffer.  Where the kernel refuses
 * io_uring (sysctl kernel.io_uring_disabled) requests are made one by one.
 */
struct ring {
	struct io_uring uring;
	int *homes; /* of buffers; NULL: they have none */
	uint8_t *arena;
	size_t arena_bytes;
	size_t buffer_bytes;
	unsigned int buffers;
	unsigned int in_flight;
	bool have_uring;
	uint8_t *states; /* of buffers: RING_* */
	bool watching;
	int watch_fd;
	uint64_t watched; /* where the eventfd's value goes */
	/* Registered files, by the number of the descriptor. */
	int files[RING_FILES];
	unsigned int nfiles, files_room;
	/* Without io_uring: results that nobody has waited for yet. */
	struct ring_result {
		unsigned int index;
		int res;
	} * results;
};

#define RING_PLAIN      0
#define RING_REGISTERED 1
#define RING_UNTOUCHED  2 /* to be registered when it is used */

struct ring_request {
	bool write;
	int fd;
	unsigned int index; /* of the buffer */
	size_t from;        /* first byte in the buffer */
	size_t len;
	uint64_t offset;   /* in the file */
	uint64_t allocate; /* by the pump: blocks from offset on, at first */
};

#define RING_ALIGN 4096u

/*
 * Where the machine has several memories: puts the memory of a buffer, which
 * nobody has touched yet, into one of them, and returns which; -1: into any.
 */
struct ring_homes {
	int (*put)(void *arg, unsigned int index, void *data, size_t len);
	void *arg;
};

/*
 * ready: so many buffers, the first ones, have their memory when this returns,
 * which takes milliseconds; each other one has when it is first used.  homes:
 * used by this call alone; NULL: buffers are anywhere.
 */
int ring_init(struct ring *ring, size_t buffer_bytes, unsigned int buffers,
	      unsigned int ready, const struct ring_homes *homes,
	      struct err *err);
void ring_done(struct ring *ring);

static inline uint8_t *ring_buffer(const struct ring *ring, unsigned int index)
{
	return ring->arena + index * ring->buffer_bytes;
}

/* As ring_homes said of it. */
static inline int ring_home(const struct ring *ring, unsigned int index)
{
	return ring->homes ? ring->homes[index] : -1;
}

/*
 * Start one request; the buffer belongs to the kernel until ring_wait.  The
 * ring keeps the file: its descriptor is closed after ring_done only.
 */
int ring_start(struct ring *ring, const struct ring_request *req,
	       struct err *err);

/* Wait for any request: which buffer, and bytes moved or negative errno. */
int ring_wait(struct ring *ring, unsigned int *ret_index, int *ret_res,
	      struct err *err);

/* It would not wait. */
bool ring_has_result(const struct ring *ring);

/*
 * Let ring_wait answer RING_WATCH, once, when an eventfd has been written to;
 * it is read then.
 */
#define RING_WATCH UINT_MAX
int ring_watch(struct ring *ring, int fd, struct err *err);

/*
 * Whether files below dir_fd take aligned O_DIRECT writes, tried on a file
 * without a name.  Needs the rights to create one.
 */
bool ring_direct_works(int dir_fd);

/* Let an open file go on buffered; false when that fails. */
bool ring_leave_direct(int fd);

#endif
