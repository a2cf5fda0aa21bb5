/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/vma_flags.h"

#include <string.h>

#include "kernel/maps.h"

/* Each stands for any of several pairs of letters. */
#define OF_MORE_BITS (VMA_UNKNOWN | VMA_UFFD)

void vma_flags_init(struct vma_flags *f)
{
	memset(f, 0, sizeof(*f));
	memset(f->candidates, 0xff, sizeof(f->candidates));
}

void vma_flags_learn(struct vma_flags *f, uint64_t bits, uint64_t flags)
{
	f->seen |= bits;
	f->shown |= flags;
	for (unsigned int i = 0; i < 64; i++)
		f->candidates[i] &= flags >> i & 1 ? bits : ~bits;
}

/*
 * A bit that was never set may have a flag that was never shown.  Of the flags
 * that were not shown none has a bit that was set.
 */
bool vma_flags_tell(const struct vma_flags *f, uint64_t bits, uint64_t *ret)
{
	uint64_t flags = 0;

	if ((bits & ~f->seen) || (f->shown & OF_MORE_BITS))
		return false;
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t of = f->candidates[i];

		if (!(f->shown >> i & 1))
			continue;
		/* None: it is not as we think. */
		if (!of || ((bits & of) && (bits & of) != of))
			return false;
		flags |= bits & of ? 1ull << i : 0;
	}
	*ret = flags;
	return true;
}
