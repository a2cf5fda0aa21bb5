/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_INLETS_H
#define JOBCR_ENGINE_INLETS_H

#include "engine/building.h"
#include "engine/scatter.h"

/*
 * How contents come into one process that is being built: its private memory
 * that is in small pages is open for whole ones (kernel/inlet.h), the rest is
 * written to.  Between the two calls the process must not run.
 */
struct inlet;

/* *ret NULL: this kernel has none, or no mapping is worth it. */
int inlet_new(const struct building *b, struct puppet *p, struct inlet **ret,
	      struct err *err);
void inlet_free(struct inlet *i); /* NULL too */

/*
 * As scatter_put, which has what cannot come in so.  Whole pages.  By several
 * threads at once, each with its scatter.
 */
int inlet_take(const struct inlet *i, struct scatter *s, uint64_t at,
	       const uint8_t *data, size_t len, struct err *err);

#endif
