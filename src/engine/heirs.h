/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_HEIRS_H
#define JOBCR_ENGINE_HEIRS_H

#include "engine/plan.h"
#include "util/spans.h"

/*
 * Who gets which pages at birth, so that they are shared copy-on-write
 * again.  Plain data: nothing is made here.
 *
 * Pages can only be shared by fork, at the same address.  A page that two
 * processes have in common therefore has to be in the memory of their nearest
 * common ancestor when those are born through whom they descend from it; be
 * it that the ancestor itself has other contents there later, or no memory at
 * all.  In spans that speak of pages the tag is the ns_pid under which they
 * were saved.
 *
 * Mappings that overlap are one block, which the ancestor has in one piece;
 * everybody cuts out of it what it is to have.  So mappings do not fall into
 * pieces that no kernel joins again.
 */
struct heir {
	struct spans inherits; /* from its parent */
	struct spans common;   /* pages that it shares, its own included */
	struct spans maps;     /* its mappings that may be of a block */
};

struct heirs {
	struct heir *v; /* by index of the plan's family */
	size_t count;
	struct spans blocks;   /* tag: index of block_flags */
	uint64_t *block_flags; /* VMA_* that matter to mmap and madvise */
};

/* What cannot be shared is left out: it is copied.  Errors: -ENOMEM only. */
int heirs_plan(const struct plan *plan, struct heirs *ret, struct err *err);
void heirs_done(struct heirs *h);

#endif
