/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_WRITTEN_H
#define JOBCR_KERNEL_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/maps.h"
#include "util/err.h"

/*
 * Which pages of a process were written since they were looked at last, by
 * asynchronous write protection (Linux 6.7): a userfaultfd that belongs to the
 * process's memory, which nobody reads.  The kernel lets each write through
 * and takes a mark away.  A mapping that was moved, made anew or inherited by
 * a fork has no marks, and says so.  The end of the descriptor is the end of
 * all marks.
 */

/* Does this kernel have it?  Looks at our own memory, once. */
bool written_supported(void);
#define WRITTEN_MISSING                                                        \
	"the kernel cannot tell what was written since (Linux 6.7 can)"

/* What a process has made just now (USERFAULT_FLAGS) is to be one. */
int written_begin(int fd, struct err *err);

/*
 * Mark writes to [start, end), mappings of private anonymous memory of the
 * process that has made it; no harm if they are already.  -EBUSY: another's
 * userfaultfd is there; -ESRCH: that memory is gone.
 */
int written_watch(int fd, uint64_t start, uint64_t end);

/* Not any more; all of it counts as written. */
int written_leave(int fd, uint64_t start, uint64_t end);

/*
 * What of it is watched counts as written, and is watched still.  The process
 * may run, and have unmapped or changed any of it.
 */
int written_unmark(int fd, uint64_t start, uint64_t end);

/*
 * As pagemap_scan, of one watched mapping; runs have written, and none is a
 * guard.  arm: what is found is unwritten from now on.  -EPERM: it is not
 * watched.
 */
int written_scan(int pagemap_fd, uint64_t start, uint64_t end, bool arm,
		 struct page_run *runs, size_t room, size_t *ret_count,
		 uint64_t *ret_next);

/* Is there a transparent huge page in it?  Watching would split them. */
bool written_is_huge(int pagemap_fd, uint64_t start, uint64_t end);

#endif
