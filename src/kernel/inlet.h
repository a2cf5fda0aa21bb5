/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_INLET_H
#define JOBCR_KERNEL_INLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whole pages for the memory of another process, each made with its contents:
 * a userfaultfd of that process, which nobody reads.  Writing to memory that
 * is not there yet would find each page by a fault of its own and clear it
 * first.  While it is open, what is missing in it is an error (EFAULT) for
 * others who write from outside, and the process itself must not run.
 */

/*
 * What a process has made just now (USERFAULT_FLAGS) is to be one.  0, or a
 * negative errno.
 */
int inlet_begin(int fd);

/*
 * Open [start, end), private anonymous mappings of that process in small
 * pages.  0, or a negative errno.
 */
int inlet_open(int fd, uint64_t start, uint64_t end);

/*
 * Put pages there; *ret_done of len are, whatever is returned: 0, or a
 * negative errno; -EEXIST: a page is there already.
 */
int inlet_put(int fd, uint64_t at, const uint8_t *data, size_t len,
	      size_t *ret_done);

/* Would memory for which nothing is asked be in huge pages on this node? */
bool inlet_huge_anyway(void);

#endif
