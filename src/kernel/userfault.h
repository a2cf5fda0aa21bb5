/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_USERFAULT_H
#define JOBCR_KERNEL_USERFAULT_H

#include <fcntl.h>
#include <linux/userfaultfd.h>

/* Linux 5.11, 5.13 and 6.7: headers may be older than the kernel. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR   ((uint64_t)1 << 2)
#define UFFD_FEATURE_MINOR_HUGETLBFS (1 << 9)
struct uffdio_continue {
	struct uffdio_range range;
	uint64_t mode;
	int64_t mapped;
};
#define UFFDIO_CONTINUE_MODE_DONTWAKE ((uint64_t)1 << 0)
#define UFFDIO_CONTINUE               _IOWR(UFFDIO, 0x07, struct uffdio_continue)
#endif

/* The flags of userfaultfd(2) for one that nobody reads: no right is needed. */
#define USERFAULT_FLAGS (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)

#endif
