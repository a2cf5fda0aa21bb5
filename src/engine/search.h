/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_SEARCH_H
#define JOBCR_ENGINE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/borrow.h"
#include "engine/pin.h"
#include "images/limits.h"
#include "images/record.h"
#include "util/err.h"

/*
 * What memory is to be saved, and where pages are in it: found piece by piece
 * as they are read, so that memory taken does not grow with it.  Not so where
 * the tree is pinned, and where pages may be borrowed: all pieces are found
 * first.
 */
struct search;

/*
 * Extents begin and end here wherever there is memory on both sides, so that
 * two snapshots of the same memory have the same ones.
 */
#define EXTENT_ALIGN ((uint64_t)EXTENT_MAX_PAGES * IMAGE_PAGE)

/*
 * borrow: what the last generation has, or NULL.  arm: writes to watched
 * memory are marked from the cut on; huge: also where huge pages are split.
 */
int search_new(struct borrow *borrow, bool arm, bool huge, struct search **ret,
	       struct err *err);

/*
 * A range of a stopped process: all pages that are its own.  over_file: a
 * private mapping of a file, where a page of zeroes is not the same as none.
 * common: some of it may be another process's too, since a fork.  readable:
 * its protection allows to read.  alone: all of it is this process's and
 * nobody's else.  proc_fd is borrowed.
 * Ranges of one process come one after the other, ascending.
 */
struct page_range {
	pid_t pid, ns_pid;
	int proc_fd;
	uint64_t start, end;
	uint64_t huge; /* size of its pages, if they are huge ones, or 0 */
	bool over_file, readable, common, alone;
	/* Writes to it can be marked (written.h); since: they have been, since
	 * the cut that pages may be borrowed from. */
	bool watchable, since;
	int watch_fd; /* borrowed; -1: none */
};
int search_add_range(struct search *s, const struct page_range *range,
		     struct err *err);

/* The data of a file; a description of its own is opened for it. */
int search_add_file(struct search *s, uint32_t object, int fd, uint64_t size,
		    struct err *err);

/* One of these. */
struct source {
	struct page_range range; /* of a file: start 0, end its size */
	uint32_t object;
	int fd;
	uint64_t taken;                  /* early, up to here */
	const struct pin_memory *pinned; /* or NULL */
	bool armed;                      /* or it was begun */
	bool scanned;                    /* its spans are known: */
	size_t first_span, spans_end;
	const struct spans *left; /* to others to save, or NULL */
};

/* All stand still; see pages_pin. */
int search_pin(struct search *s, struct pin *pin, struct err *err);

/* What was found then: spans of sources, in order.  Borrowed. */
#define UNWRITTEN 1ull
struct stretch {
	uint64_t start, end; /* start: or UNWRITTEN */
};
static inline uint64_t stretch_start(const struct stretch *s)
{
	return s->start & ~UNWRITTEN;
}
const struct source *search_sources(const struct search *s, size_t *ret_count,
				    const struct stretch **ret_spans);

/* All stand still: look at what has to be known first, and arm. */
int search_begin(struct search *s, struct err *err);

/*
 * Move to what is to be saved next; *ret: whose, NULL: there is no more.
 * Then take up to so many pages of it from *ret_start on.  Where there are more
 * they end at an EXTENT_ALIGN: none, if it is farther than that.
 * Before search_pin and search_begin: what can be told already of what was
 * added, that is memory that is alone, not in the last generation, and not to be
 * armed.  More may be added then.
 */
int search_next(struct search *s, const struct source **ret, struct err *err);
size_t search_take(struct search *s, size_t pages, uint64_t *ret_start);

/*
 * Of the process that search_next has just left: what was taken before all was
 * known, from that address on, is to be saved with the rest.
 */
void search_give_back(struct search *s, pid_t pid, uint64_t start);

/*
 * There was no more.  Wait until what is borrowed was read again; true: it is
 * damaged, and there is more: that, too.
 */
bool search_again(struct search *s);

/* The records of pages that processes have in common. */
int search_put_common(const struct search *s, const struct img_sink *out,
		      struct err *err);

/*
 * Nothing becomes of the snapshot, and the tree may run again: what was found
 * to be written before the cut counts as written again, beside what was since;
 * so the marks are those since the cut before, and what had none has none.
 */
int search_disarm(const struct search *s);

void search_free(struct search *s); /* NULL too */

#endif
