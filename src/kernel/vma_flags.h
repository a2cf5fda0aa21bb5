/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_VMA_FLAGS_H
#define JOBCR_KERNEL_VMA_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What the bits of a mapping mean in the running kernel, which tells nobody:
 * they differ by version and by configuration.  So they are learned from
 * mappings of which smaps has told as well.  Nothing is taken for granted but
 * that smaps has at most one bit for each flag of maps.h and shows the flag
 * when, and only when, that is set.  So the bit of a flag is one of those that
 * were set wherever the flag was shown, and nowhere else.
 */
struct vma_flags {
	uint64_t seen;           /* bits that were set in some mapping */
	uint64_t shown;          /* flags that were shown of some */
	uint64_t candidates[64]; /* bits that a flag may have */
};
void vma_flags_init(struct vma_flags *f);

/* A mapping with such bits has these flags. */
void vma_flags_learn(struct vma_flags *f, uint64_t bits, uint64_t flags);

/*
 * The flags of a mapping with such bits; false: it may have others too, so
 * smaps has to be asked.
 */
bool vma_flags_tell(const struct vma_flags *f, uint64_t bits, uint64_t *ret);

#endif
