/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_SEARCH_PARTS_H
#define JOBCR_ENGINE_SEARCH_PARTS_H

#include "engine/scan.h"
#include "engine/search.h"
#include "kernel/maps.h"

/* What the files of search.h have in common. */
#define SEARCH_RUNS 256

struct search {
	struct borrow *borrow;
	bool arm, huge;
	bool early; /* not all is known yet */
	struct source *sources;
	size_t nsources, room;

	/* Where it stands. */
	size_t at;
	uint64_t next;
	int pagemap_fd;
	struct hugetlb_file *huge_file; /* of the file that is looked at */
	struct page_run runs[SEARCH_RUNS];
	size_t run, nruns;
	size_t left;       /* of the source's */
	uint64_t run_ends; /* the part of the run that is ours to save */
	bool again;        /* for what was borrowed, and is lost */
	bool marked;       /* it has marks of an earlier watch */

	/* What was found while all stood still, in order. */
	struct stretch *spans;
	size_t span, nspans, spans_room;

	/* Found when all stood still. */
	struct cow *cow;
	struct cow_source *cow_sources;
};

/* Early, move to what may be taken; then all is known, and it is left out. */
int search_next_early(struct search *p, bool *ret_more, struct err *err);
void search_end_early(struct search *p);

/* Of one process; search_leave_process closes it. */
int search_open_pagemap(struct search *p, const struct source *s,
			struct err *err);
void search_leave_process(struct search *p);

struct scan_range search_scan_range(const struct source *s);

/* The next runs from p->next on; that moves on. */
int search_file_runs(struct search *p, struct source *s, struct err *err);
int search_memory_runs(struct search *p, const struct source *s,
		       struct err *err);

#endif
