/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_DISPATCHES_H
#define JOBCR_ENGINE_DISPATCHES_H

#include "engine/freeze.h"

/*
 * Syscall user dispatch of a tree's threads, where ptrace does not tell of it
 * (kernel/user_dispatch.h).
 */
struct dispatches {
	bool by_ptrace; /* nothing has to be done */
	int look;       /* negative: nobody can tell */
};

/* Before the tree is stopped: it may take some milliseconds. */
void dispatches_prepare(struct dispatches *d);

/*
 * Of a frozen tree: tracees know theirs.  Where that cannot be had the tree is
 * told to be blind.
 */
void dispatches_take(const struct dispatches *d, struct frozen_tree *tree);

void dispatches_done(struct dispatches *d); /* zeroes too */

#endif
