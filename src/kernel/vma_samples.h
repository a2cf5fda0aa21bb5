/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_VMA_SAMPLES_H
#define JOBCR_KERNEL_VMA_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Little mappings of our own of as many kinds as this kernel and our rights
 * allow: of what is missing the flags are not learned.  None has pages but
 * those that are locked, and the plain one.  A sealed one stays for good.
 */
struct vma_samples {
	uint8_t *slots, *huge;
	size_t used;
	int uffd;
	uint64_t plain; /* private memory, written to */
	uint64_t bound; /* the same with a policy; 0: it cannot have one */
};

/* -errno: not even a plain one can be had. */
int vma_samples_make(struct vma_samples *ret);
void vma_samples_done(struct vma_samples *s);

#endif
