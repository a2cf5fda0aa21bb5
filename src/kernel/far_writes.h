/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_FAR_WRITES_H
#define JOBCR_KERNEL_FAR_WRITES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Who is in a call that can write to the memory of another process, by a BPF
 * program that looks at all threads, also those that run or wait for a CPU in
 * the middle of it, of which /proc/PID/syscall does not tell.
 */
struct far_write {
	uint64_t tid; /* in our own pid namespace; 0: not there */
	uint64_t call;
	uint64_t to; /* process_vm_writev: a pid, as the caller sees it; else
			a descriptor of it */
};

/* Is that its call? */
int far_write_is_vm(const struct far_write *w);

/*
 * Ready to be read: a descriptor, closed by the caller; or a negative errno:
 * there is no such iterator.  Takes some milliseconds.
 */
int far_writes_open(void);

/*
 * All there are, and some that have just been; v is owned by the caller.  It
 * takes a microsecond for four threads of the node.
 */
int far_writes_read(int iterator_fd, struct far_write **ret, size_t *count);

#endif
