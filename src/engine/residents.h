/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_RESIDENTS_H
#define JOBCR_ENGINE_RESIDENTS_H

#include <stdint.h>
#include <sys/types.h>

#include "engine/search.h"

/*
 * On which nodes the pages are that a pinned tree has to save: noted while
 * all stand still, since what is dead does not tell it.
 */
struct residents;

/* NULL: nothing is noted. */
struct residents *residents_note(const struct search *search);

/* Where a run of pages is, that crosses no EXTENT_ALIGN; 0: not known. */
uint64_t residents_of(const struct residents *r, pid_t pid, uint64_t address);

void residents_free(struct residents *r); /* NULL too */

#endif
