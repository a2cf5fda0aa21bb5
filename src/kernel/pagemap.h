/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_PAGEMAP_H
#define JOBCR_KERNEL_PAGEMAP_H

#include <stdint.h>
#include <sys/ioctl.h>

/*
 * PAGEMAP_SCAN (Linux 6.7).  The ABI is stated here because the headers of
 * the distributions jobcr builds on are older than the kernels it runs on.
 */
#define SCAN_WRITTEN (1ull << 1)
#define SCAN_FILE    (1ull << 2)
#define SCAN_PRESENT (1ull << 3)
#define SCAN_SWAPPED (1ull << 4)
#define SCAN_PFNZERO (1ull << 5)
#define SCAN_HUGE    (1ull << 6)
#define SCAN_GUARD   (1ull << 8) /* Linux 6.15 */

#define SCAN_PROTECT     (1ull << 0) /* flags */
#define SCAN_CHECK_ASYNC (1ull << 1)

struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags;
	uint64_t start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

#endif
