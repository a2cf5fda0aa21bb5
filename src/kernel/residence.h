/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_RESIDENCE_H
#define JOBCR_KERNEL_RESIDENCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * On which of the machine's memories pages of a process are; 0: of this one.
 * Samples are asked for: a mask of the nodes that were met, below 64.  0: none
 * is there, or it is not told.
 */
uint64_t residence_of(pid_t pid, uint64_t address, size_t pages);

/* The same of memory that is a file (tmpfs), of pages that it has. */
uint64_t residence_of_file(int fd, uint64_t offset, size_t pages);

/* Of these pages, RESIDENCE_SAMPLES at most. */
#define RESIDENCE_SAMPLES 16u
uint64_t residence_ask(pid_t pid, void *const *pages, size_t n);

/*
 * Of so many pages every nth is a sample, n odd: pages that lie on nodes in
 * turns are not met on one alone.
 */
static inline size_t residence_step(size_t pages)
{
	return (pages + RESIDENCE_SAMPLES - 1) / RESIDENCE_SAMPLES | 1;
}

/* Mems_allowed of a process, below 64; 0: not told. */
uint64_t residence_allowed(int proc_fd);

#endif
