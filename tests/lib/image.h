/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_IMAGE_H
#define JOBCR_TESTS_LIB_IMAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * A snapshot that is written record by record, as if on this node.  The
 * first failure is kept: everything after it does nothing.
 */
struct image;

/* With its part record; root_pid is the inner one.  NULL: no memory. */
struct image *image_begin(int dir_fd, int32_t root_pid);
void image_put(struct image *im, uint32_t tag, const ProtobufCMessage *msg);
/* One page of a process that begins with data. */
void image_page(struct image *im, int32_t pid, uint64_t address,
		const void *data, size_t len);
/* Publish it and forget; 0 or the first failure. */
int image_end(struct image *im, struct err *err);

#endif
