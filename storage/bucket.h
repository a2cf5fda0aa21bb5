/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_BUCKET_H
#define JOBCR_STORAGE_BUCKET_H

#include <stdint.h>

#include "util/err.h"

/*
 * A bandwidth that processes of one node share: a bucket of tokens, a quarter
 * of a second's worth, that fills at the rate.  Its level lies in a file that
 * all of them map; who holds tokens and dies has used them.
 */
struct bucket;

#define BUCKET_RATE_MIN (1u << 20) /* bytes per second */

/*
 * path is made if it is not there, and is its owner's alone.  rate: bytes per
 * second, at least BUCKET_RATE_MIN.  *ret: bucket_free.
 */
int bucket_open(const char *path, uint64_t rate, struct bucket **ret,
		struct err *err);

/*
 * Take tokens for bytes; when they will be there, by CLOCK_MONOTONIC: who
 * takes them waits until then.  By any thread.
 */
uint64_t bucket_take(struct bucket *b, uint64_t bytes);

void bucket_free(struct bucket *b); /* NULL too */

#endif
