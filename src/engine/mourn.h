/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_MOURN_H
#define JOBCR_ENGINE_MOURN_H

#include <stdbool.h>

#include "engine/freeze.h"

/*
 * A tree that may be killed by others while its memory is being written.
 * Nobody learns of the death of a traced process, not even its init, until
 * its tracer has: so a thread of ours waits for the deaths meanwhile.
 */
struct mourner;

/* From here to mourn_end the tree is the mourner's. */
int mourn_begin(struct frozen_tree *tree, struct mourner **ret,
		struct err *err);

/*
 * Notes the deaths in the tree.  True: all of it is dead.  When only some
 * has died the rest gets a moment.  NULL: false.
 */
bool mourn_end(struct mourner *m);

#endif
