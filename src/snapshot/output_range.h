/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_OUTPUT_RANGE_H
#define JOBCR_SNAPSHOT_OUTPUT_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot/snapshot.h"
#include "util/err.h"

/* Bytes of a file that are hashed and may be copied, for output*.c only. */
struct output_range {
	int fd;
	uint64_t at, length;
	int to_fd; /* -1: only hashed */
	uint64_t to_at;
	void (*alive)(void *arg); /* called as it goes on; or NULL */
	void *arg;
};

/*
 * Blocks of zeros become holes: where they go there must be nothing yet, and
 * the size is the caller's to set.  -ENODATA: the file ends before.
 */
int output_read(const struct output_range *range, uint8_t ret[DIGEST_BYTES],
		struct err *err);

/* Has the range that hash?  One that cannot be read has not. */
bool output_same(int fd, uint64_t at, uint64_t length, const uint8_t *digest);

#endif
