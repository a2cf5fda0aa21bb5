/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_HOLD_H
#define JOBCR_ENGINE_HOLD_H

#include <stdint.h>

#include "util/err.h"

/*
 * Memory that outlives its processes.  A read of /proc/PID/mem uses the
 * address space for as long as it lasts, and the kernel takes an address
 * space down when its last user is gone.  So a thread of ours reads one byte
 * of each into a page that userfaultfd watches, and stands there: the process
 * may be killed and reaped, and what it had can still be read through a
 * descriptor of its mem that was opened before.
 *
 * Nothing of this is in the process.  When we are killed, the reads end, and
 * so does the hold.
 */
struct hold;

/* -EOPNOTSUPP: this kernel has no userfaultfd, or not for us. */
int hold_new(struct hold **ret, struct err *err);

/*
 * One more address space: mem_fd is its open mem, a page of it is at address.
 * mem_fd is borrowed until hold_free.  -EOPNOTSUPP: too many.
 */
int hold_add(struct hold *h, int mem_fd, uint64_t address, struct err *err);

/* Returns when all are held. */
int hold_await(struct hold *h, struct err *err);

/* Let all go; NULL too. */
void hold_free(struct hold *h);

#endif
