/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_WATCHING_H
#define JOBCR_ENGINE_WATCHING_H

#include <stdbool.h>

#include "engine/collect.h"
#include "engine/engine.h"
#include "engine/far_writers.h"
#include "engine/freeze.h"
#include "engine/search.h"

/*
 * Watches of a tree (kernel/written.h).  The userfaultfd is made by a thread
 * of the process, taken from it and closed there at once: nothing of it stays
 * in the job, also when its maker dies.
 *
 * All private memory without a file is watched, but for what must be left
 * alone, however little it is: mappings with and without a watch do not become
 * one again, and a program that splits its own for a moment must not notice.
 */

/*
 * Are writes to be marked from the cut on?  *ret_fd: for far_writers_find,
 * owned by the caller.
 */
bool watching_wanted(const struct checkpoint_args *args, int *ret_fd);

/* Why nothing ever is, where it was to be and this kernel cannot; or lost. */
void watching_explain(const struct checkpoint_args *args,
		      const struct watches_lost *lost, char *why, size_t room);

/*
 * They were armed at a cut, and the snapshot is durable, with this digest of
 * its meta stream.  writer: who was in the way, or 0: then they go.
 */
void watching_settle(const struct checkpoint_args *args, const uint8_t *digest,
		     pid_t writer);

/*
 * Or it is not, and never will be: they tell what was written since the
 * snapshot before, of which they speak still; without one they go, and lost is
 * the reason again.
 */
void watching_undo(const struct checkpoint_args *args, const struct search *s,
		   const struct watches_lost *lost);

/* Why there are none, if that is said; it is taken from them. */
struct watches_lost watching_lost(const struct checkpoint_args *args);

/*
 * Mappings that ours are on are as good as unwatched for all others: their
 * flag goes, and watched is set.  What is of no use any more (the process has
 * executed a program) is closed.
 */
void watching_claim(struct watches *w, struct collection *c);

/*
 * The thread is stopped and its remote begun; f is its process.  None of it is
 * watched yet.  A job that does not allow it is left alone, which is no error.
 */
int watching_make(struct watches *w, const struct frozen_task *f,
		  struct remote *remote, struct err *err);

#endif
