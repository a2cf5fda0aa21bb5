/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_OUTPUTS_H
#define JOBCR_ENGINE_OUTPUTS_H

#include <stdbool.h>

#include "engine/engine.h"
#include "engine/meta.h"

/*
 * The contents of the step's output files, kept with the snapshot: see
 * snapshot/output.h.  They are copied when the job runs again, or may be
 * killed; a file that cannot be kept is no reason to have no snapshot.
 */
struct outputs;

/*
 * Open those of args->stdio, and find the copy that the newest generation
 * has.  NULL: out of memory, or none is to be kept; all calls take it.
 */
struct outputs *outputs_new(const struct checkpoint_args *args);

/* The tree stands still: so long are they. */
void outputs_cut(struct outputs *o);

/*
 * Copy, and say so in the meta stream.  hurry: the tree waits for this, only
 * what takes little time is copied.  ret_not_kept: the first file that is not
 * kept, and why; else "".  Only a failure of the meta stream is one.
 */
int outputs_keep(struct outputs *o, struct meta_stream *meta, bool hurry,
		 char *ret_not_kept, size_t room, struct err *err);

void outputs_free(struct outputs *o);

#endif
