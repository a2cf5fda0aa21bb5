/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_HUGETLB_H
#define JOBCR_KERNEL_HUGETLB_H

#include <stdint.h>

#include "util/err.h"

/* Huge pages that come from a pool of the node (hugetlb), not from madvise. */
#define HUGETLB_SIZES 2
extern const uint64_t hugetlb_sizes[HUGETLB_SIZES]; /* bytes, ascending */

/* Which size it is, as flags of mmap (behind MAP_HUGETLB) and memfd_create. */
unsigned int hugetlb_flag(uint64_t page_size);

/* In words: "2 MiB". */
const char *hugetlb_name(uint64_t page_size);

/* The size of the pages of an open file (O_PATH too); 0: not on hugetlbfs. */
uint64_t hugetlb_of_file(int fd);

/*
 * So many pages must be there for whoever asks next: free ones that nobody
 * has been promised, and those the node may make.  -ENOTSUP: they are not.
 */
int hugetlb_need(uint64_t page_size, uint64_t pages, struct err *err);

/*
 * Which pages a file of hugetlbfs has: it knows no SEEK_DATA, and reads as
 * zeroes where it has none.  fd is borrowed, and open for writing.
 * -EOPNOTSUPP: this kernel or this file (sealed) does not tell.
 */
struct hugetlb_file;
int hugetlb_file_new(int fd, uint64_t page_size, uint64_t size,
		     struct hugetlb_file **ret, struct err *err);
/* 1: it has the page at that offset, 0: it has not, or a negative errno. */
int hugetlb_file_has(const struct hugetlb_file *f, uint64_t offset,
		     struct err *err);
void hugetlb_file_free(struct hugetlb_file *f);

#endif
