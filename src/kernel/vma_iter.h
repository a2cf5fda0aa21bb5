/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_VMA_ITER_H
#define JOBCR_KERNEL_VMA_ITER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A process's mappings as the kernel itself has them, without a look at their
 * page tables: by a BPF program of loads (an iterator over a task's mappings,
 * Linux 6.1).  It needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, and a kernel
 * that describes its types.
 */

/* Of struct vm_area_struct.  Addresses tell only whether there is something. */
struct vma_seen {
	uint64_t start, end;
	uint64_t flags;     /* the kernel's own bits: see vma_flags.h */
	uint64_t policy;    /* vm_policy */
	uint64_t policies;  /* vm_ops->get_policy */
	uint64_t page_size; /* vm_ops->pagesize */
	/* Who else may have pages of it: see vma_seen_alone. */
	uint64_t anon_vma, root, children;
};

/* Ready to be used: a descriptor, closed by the caller; or a negative errno. */
int vma_iter_open(void);

/*
 * All of a process, ascending; pid is a number of our own pid namespace, and
 * that of a thread.  v is owned by the caller.  Threads may call at a time.
 */
int vma_iter_read(int iter_fd, pid_t pid, struct vma_seen **ret, size_t *count);

#endif
