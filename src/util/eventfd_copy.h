/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_EVENTFD_COPY_H
#define JOBCR_UTIL_EVENTFD_COPY_H

#include <stdint.h>

#include "util/err.h"

/*
 * Whether an eventfd is a semaphore, which kernels before Linux 6.5 tell
 * nobody: it can only be had by reading, by one whose death is the death of
 * its processes, while these stand still.  Whoever polls it may be woken.
 */
struct eventfd_copy {
	uint64_t count;
	uint64_t semaphore;
};

/*
 * The counter is what it was.  -ENOTSUP: that could not be had, as it has
 * overflowed, and nothing was touched.
 */
int eventfd_copy(int fd, struct eventfd_copy *ret, struct err *err);

/* The same, with the copy in a new file: returns that. */
int eventfd_copy_file(int fd, struct err *err);

#endif
