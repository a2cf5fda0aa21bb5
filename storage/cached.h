/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_CACHED_H
#define JOBCR_STORAGE_CACHED_H

#include <stdint.h>

/*
 * How many bytes of [offset, offset + len) of a file the page cache has, as
 * whole pages.  Negative errno: who is neither the file's owner nor may write
 * to it is not told, nor is anybody where the file system does not know.
 */
int64_t cached_bytes(int fd, uint64_t offset, uint64_t len);

#endif
