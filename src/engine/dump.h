/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_DUMP_H
#define JOBCR_ENGINE_DUMP_H

#include "engine/collect.h"
#include "engine/engine.h"
#include "engine/farewell.h"
#include "engine/pages.h"
#include "engine/search.h"
#include "engine/sync.h"
#include "engine/witness.h"
#include "resource/resource.h"

/* Dumping one tree: what resources see, and what they call. */
struct dump {
	const struct checkpoint_args *args;
	struct collection *collection; /* borrowed */
	struct search *search;         /* borrowed; NULL while checking */
	struct sync_list *syncs;       /* borrowed */
	struct farewell *farewell;     /* borrowed */
	struct pages *pages;           /* borrowed; NULL while checking */
	struct pin *pin;               /* borrowed; NULL: not to be pinned */
	struct dump_options options;
	struct dump_engine engine;
	struct dump_ctx ctx;
	uint8_t allowed_cpus[1024];
	struct outside **outside; /* borrowed; made when first asked for */
	struct witness witness;   /* ended by dump_records */
	bool looked_outside;
	bool trusts_smaps; /* maps.h */
	/* Whatever of the process is not common is surely no other's. */
	bool alone;
	bool watch;                 /* from now on; set by the caller */
	struct err outside_failure; /* code 0: none */
};

/*
 * out may be NULL for checks.  *outside outlives the dump, and is for the
 * caller to free.  Do not move *d.
 */
int dump_init(struct dump *d, const struct checkpoint_args *args,
	      struct collection *collection, struct search *search,
	      const struct img_sink *out, struct outside **outside,
	      struct err *err);

/* A callback that cannot tell an error had one. */
int dump_failure(const struct dump *d, struct err *err);

/* All records of a frozen tree but the part's own and those of pages. */
int dump_records(struct dump *d, struct err *err);

#endif
