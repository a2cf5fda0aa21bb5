/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PAGES_H
#define JOBCR_ENGINE_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "engine/nearby.h"
#include "engine/pace.h"
#include "engine/search.h"
#include "images/record.h"
#include "storage/writer.h"
#include "util/err.h"

/*
 * The page pipeline: what is to be saved (search.h) is read by several
 * threads into the writer's buffers, freed of pages of zeroes, given
 * checksums, packed where that is faster, and written.  Memory taken does not
 * grow with what is saved.
 */
struct pages;

struct pages_config {
	struct search *search;       /* what is to be saved; borrowed */
	struct writer *writer;       /* borrowed */
	const struct img_sink *meta; /* borrowed: PagesRecords go there */
	const uint32_t *streams;     /* of the writer; borrowed */
	unsigned int nstreams;       /* they are streams 1.. of the part */
	unsigned int readers;        /* see readers.h */
	unsigned int buffers;        /* the writer's */
	size_t buffer_bytes;
	const struct nearby *nearby; /* borrowed */
	enum pack_policy compression;
};

int pages_new(const struct pages_config *config, struct pages **ret,
	      struct err *err);

/*
 * Before all is known, and as often as one likes: whatever can be read, and
 * given to storage, without waiting for it.  pages_settle: nothing of it is
 * being read any more.
 */
int pages_step(struct pages *p, struct err *err);
int pages_settle(struct pages *p, struct err *err);

/* Nothing reads for it any more: it is good for pages_free only.  NULL too. */
void pages_stop(struct pages *p);

/*
 * search_begin was called: save all; what says where pages are is in the meta
 * stream afterwards.
 */
int pages_run(struct pages *p, struct err *err);

struct pages_total {
	uint64_t begun_ns; /* by CLOCK_MONOTONIC; 0: not yet */
	uint64_t bytes;
	uint32_t extents;
};
struct pages_total pages_total(const struct pages *p);

void pages_free(struct pages *p);

#endif
