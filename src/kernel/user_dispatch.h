/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_USER_DISPATCH_H
#define JOBCR_KERNEL_USER_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Who uses syscall user dispatch, where ptrace does not tell (before Linux
 * 6.4): by a BPF program of loads, that looks at all threads.
 */

struct dispatch_seen {
	uint64_t tid; /* in our own pid namespace */
	uint64_t offset, len, selector;
};

/* 0: ptrace tells of it; else a positive errno.  Starts a child to ask. */
int user_dispatch_by_ptrace(void);

/*
 * Ready to be read: a descriptor, closed by the caller; or a negative errno:
 * there is no such iterator, or this kernel's is not understood.  Takes some
 * milliseconds, and uses the calling thread's own user dispatch for a moment:
 * it may have none.
 */
int user_dispatch_open(void);

/*
 * All threads that have it on, in our own pid namespace and below; v is owned
 * by the caller.  It takes a microsecond for four threads of the node,
 * whoever has it.
 */
int user_dispatch_read(int iterator_fd, struct dispatch_seen **ret,
		       size_t *count);

#endif
