/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/cow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "util/cleanup.h"

#define PAGE       ((uint64_t)IMAGE_PAGE)
#define WINDOW     512u       /* pages that are compared at a time */
#define GROUPS_MAX 16u        /* different frames at one address */
#define PIECES_MAX (1u << 20) /* in all: 24 MiB */
#define PAIRS      4096u      /* in one record */
#define RUNS       64

/* Bits of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm). */
#define PM_PRESENT   (1ull << 63)
#define PM_SWAPPED   (1ull << 62)
#define PM_FILE      (1ull << 61)
#define PM_GUARD     (1ull << 58)
#define PM_EXCLUSIVE (1ull << 56)
#define PM_FRAME     ((1ull << 55) - 1)

/* Where one source's pages are: holes are skipped, however large. */
struct cursor {
	size_t source;
	int fd;
	struct page_run runs[RUNS];
	size_t run, nruns;
	uint64_t next;     /* where the search goes on */
	uint64_t *entries; /* of the window */
};

struct cow {
	const struct cow_source *sources;
	size_t count;
	struct spans *found; /* by source */
	size_t pieces;
};

struct sweep {
	struct cow *cow;
	size_t *order; /* sources, ascending by start */
	int *fds;      /* pagemap, by source; shared by those of a process */
	struct cursor *cursors;
	size_t ncursors;
	uint64_t *entries; /* WINDOW for each cursor */
	size_t room;
};

void cow_free(struct cow *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		spans_done(&c->found[i]);
	free(c->found);
	free(c);
}

const struct spans *cow_of(const struct cow *c, size_t i)
{
	return &c->found[i];
}

/*
 * A frame that is mapped by others too; 0: nothing to be shared.  Pages of a
 * file that nobody has written to are not saved.  Zeroes are saved over a
 * file only, where KSM may let them have the frame of other zeroes.
 */
static uint64_t frame_of(const struct sweep *s, const struct cursor *c,
			 unsigned int page)
{
	uint64_t entry = c->entries[page];

	if ((entry & (PM_FILE | PM_GUARD | PM_EXCLUSIVE)) ||
	    !(entry & (PM_PRESENT | PM_SWAPPED)) || !(entry & PM_FRAME))
		return 0;
	entry &= PM_PRESENT | PM_SWAPPED | PM_FRAME;
	return s->cow->sources[c->source].over_file ? entry | PM_FILE : entry;
}

static int note(struct sweep *s, size_t source, size_t holder, uint64_t at,
		struct err *err)
{
	struct spans *found = &s->cow->found[source];
	size_t before = found->count;
	int r;

	r = spans_add(found, at, at + PAGE, s->cow->sources[holder].ns_pid,
		      err);
	s->cow->pieces += found->count - before;
	return r;
}

/* Who has the frame of the n-th cursor at this page?  It is done with then. */
static int group(struct sweep *s, size_t n, unsigned int page, uint64_t at,
		 struct err *err)
{
	uint64_t frame = frame_of(s, &s->cursors[n], page);
	size_t holder = s->cursors[n].source;
	bool any = false;
	int r = 0;

	for (size_t i = n + 1; i < s->ncursors; i++) {
		if (frame_of(s, &s->cursors[i], page) != frame)
			continue;
		any = true;
		if (s->cursors[i].source < holder)
			holder = s->cursors[i].source;
	}
	for (size_t i = n; any && i < s->ncursors && r == 0; i++) {
		struct cursor *c = &s->cursors[i];

		if (frame_of(s, c, page) != frame)
			continue;
		c->entries[page] = 0;
		if (c->source != holder)
			r = note(s, c->source, holder, at, err);
	}
	return r;
}

static int compare_page(struct sweep *s, unsigned int page, uint64_t at,
			struct err *err)
{
	unsigned int groups = 0;
	int r = 0;

	for (size_t n = 0; n + 1 < s->ncursors && r == 0; n++)
		if (frame_of(s, &s->cursors[n], page) && groups++ < GROUPS_MAX)
			r = group(s, n, page, at, err);
	return r;
}

/* The next place at or behind `at` where the source may have pages. */
static int look_ahead(struct sweep *s, struct cursor *c, uint64_t at,
		      uint64_t *ret, struct err *err)
{
	const struct cow_source *src = &s->cow->sources[c->source];
	int r;

	for (;;) {
		while (c->run < c->nruns && c->runs[c->run].end <= at)
			c->run++;
		if (c->run < c->nruns) {
			*ret = c->runs[c->run].start > at
				       ? c->runs[c->run].start
				       : at;
			return 0;
		}
		if (c->next < at)
			c->next = at;
		if (c->next >= src->end) {
			*ret = UINT64_MAX;
			return 0;
		}
		c->run = 0;
		r = pagemap_scan(c->fd, PAGES_OWN, c->next, src->end, c->runs,
				 RUNS, &c->nruns, &c->next, err);
		if (r < 0)
			return err_wrap(err, r, "process %d", src->ns_pid);
	}
}

/* Nothing is shared before the second of those who have pages. */
static int second_place(struct sweep *s, uint64_t at, uint64_t *ret,
			struct err *err)
{
	uint64_t first = UINT64_MAX, second = UINT64_MAX, place = 0;
	int r;

	for (size_t i = 0; i < s->ncursors; i++) {
		r = look_ahead(s, &s->cursors[i], at, &place, err);
		if (r < 0)
			return r;
		if (place < first) {
			second = first;
			first = place;
		} else if (place < second) {
			second = place;
		}
	}
	*ret = second;
	return 0;
}

static int read_window(const struct sweep *s, const struct cursor *c,
		       uint64_t at, uint64_t *entries, struct err *err)
{
	const struct cow_source *src = &s->cow->sources[c->source];
	uint64_t start = src->start > at ? src->start : at;
	uint64_t end = at + WINDOW * PAGE;
	size_t skip, len;
	ssize_t n;

	memset(entries, 0, WINDOW * sizeof(*entries));
	if (end > src->end)
		end = src->end;
	if (start >= end)
		return 0;
	skip = (start - at) / PAGE;
	len = (end - start) / PAGE * sizeof(*entries);
	n = pread(c->fd, entries + skip, len,
		  (off_t)(start / PAGE * sizeof(*entries)));
	if (n != (ssize_t)len)
		return err_num(err, n < 0 ? errno : EIO,
			       "process %d: pagemap of %llx", src->ns_pid,
			       (unsigned long long)start);
	return 0;
}

/*
 * The kernel moves pages at any time (compaction, KSM, swap), and their frames
 * may become others' before those are looked at.  All who still have the frame
 * that they had before had it at the same time.
 */
static int confirm_window(struct sweep *s, uint64_t at, struct err *err)
{
	uint64_t again[WINDOW];
	int r = 0;

	for (size_t i = 0; i < s->ncursors && r == 0; i++) {
		uint64_t *entries = s->cursors[i].entries;

		r = read_window(s, &s->cursors[i], at, again, err);
		for (unsigned int p = 0; p < WINDOW && r == 0; p++)
			if ((entries[p] ^ again[p]) &
			    (PM_PRESENT | PM_SWAPPED | PM_FRAME))
				entries[p] = 0;
	}
	return r;
}

static bool has_shared(const struct sweep *s)
{
	for (size_t i = 0; i < s->ncursors; i++)
		for (unsigned int p = 0; p < WINDOW; p++)
			if (frame_of(s, &s->cursors[i], p))
				return true;
	return false;
}

static int compare_window(struct sweep *s, uint64_t at, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < s->ncursors && r == 0; i++)
		r = read_window(s, &s->cursors[i], at, s->cursors[i].entries,
				err);
	if (r < 0 || !has_shared(s))
		return r;
	r = confirm_window(s, at, err);
	for (unsigned int p = 0; p < WINDOW && r == 0; p++)
		r = compare_page(s, p, at + p * PAGE, err);
	return r;
}

static int open_pagemap(struct sweep *s, size_t i, struct err *err)
{
	const struct cow_source *src = s->cow->sources;

	if (s->fds[i] >= 0)
		return 0;
	/* Those of one process are side by side and have one descriptor. */
	while (i && src[i - 1].proc_fd == src[i].proc_fd)
		i--;
	if (s->fds[i] < 0)
		s->fds[i] =
			openat(src[i].proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (s->fds[i] < 0)
		return err_sys(err, "process %d: pagemap", src[i].ns_pid);
	for (size_t k = i + 1;
	     k < s->cow->count && src[k].proc_fd == src[i].proc_fd; k++)
		s->fds[k] = s->fds[i];
	return 0;
}

static int have_cursors(struct sweep *s, size_t count, struct err *err)
{
	struct cursor *cursors;
	uint64_t *entries;

	if (count <= s->room)
		return 0;
	cursors = reallocarray(s->cursors, count, sizeof(*cursors));
	if (cursors)
		s->cursors = cursors;
	entries = reallocarray(s->entries, count, WINDOW * sizeof(*entries));
	if (entries)
		s->entries = entries;
	if (!cursors || !entries)
		return err_num(err, ENOMEM, "%zu pieces of memory", count);
	s->room = count;
	return 0;
}

/* Sources [first, last) of the order, each of which overlaps another one. */
static int sweep_group(struct sweep *s, size_t first, size_t last,
		       struct err *err)
{
	uint64_t at = s->cow->sources[s->order[first]].start;
	int r;

	r = have_cursors(s, last - first, err);
	s->ncursors = 0;
	for (size_t i = first; i < last && r == 0; i++) {
		size_t source = s->order[i];

		r = open_pagemap(s, source, err);
		s->cursors[s->ncursors] = (struct cursor){
			.source = source,
			.fd = s->fds[source],
			.next = s->cow->sources[source].start,
			.entries = s->entries + s->ncursors * WINDOW,
		};
		s->ncursors++;
	}
	while (r == 0) {
		r = second_place(s, at, &at, err);
		if (r < 0 || at == UINT64_MAX)
			break;
		r = compare_window(s, at, err);
		if (r == 0 && s->cow->pieces > PIECES_MAX)
			return -E2BIG;
		at += WINDOW * PAGE;
	}
	return r;
}

static int by_start(const void *a, const void *b, void *arg)
{
	const struct cow_source *s = arg;
	uint64_t x = s[*(const size_t *)a].start;
	uint64_t y = s[*(const size_t *)b].start;

	return x < y ? -1 : x > y;
}

/* Memory that nobody else has at the same place is not looked at. */
static int sweep_all(struct sweep *s, struct err *err)
{
	const struct cow_source *src = s->cow->sources;
	size_t last;
	uint64_t end;
	int r = 0;

	for (size_t i = 0; i < s->cow->count && r == 0; i = last) {
		end = src[s->order[i]].end;
		for (last = i + 1;
		     last < s->cow->count && src[s->order[last]].start < end;
		     last++)
			if (src[s->order[last]].end > end)
				end = src[s->order[last]].end;
		if (last - i > 1)
			r = sweep_group(s, i, last, err);
	}
	return r;
}

static void close_pagemaps(const struct sweep *s)
{
	for (size_t i = 0; i < s->cow->count; i++)
		if (s->fds[i] >= 0 && (i == 0 || s->fds[i] != s->fds[i - 1]))
			close(s->fds[i]);
}

static int sweep_sources(struct cow *c, struct err *err)
{
	auto_free size_t *order = calloc(c->count + 1, sizeof(*order));
	auto_free int *fds = calloc(c->count + 1, sizeof(*fds));
	struct sweep s = { .cow = c, .order = order, .fds = fds };
	int r;

	if (!order || !fds)
		return err_num(err, ENOMEM, "%zu pieces of memory", c->count);
	for (size_t i = 0; i < c->count; i++) {
		order[i] = i;
		fds[i] = -1;
	}
	qsort_r(order, c->count, sizeof(*order), by_start,
		(void *)(uintptr_t)c->sources);
	r = sweep_all(&s, err);
	close_pagemaps(&s);
	free(s.cursors);
	free(s.entries);
	return r;
}

int cow_find(const struct cow_source *sources, size_t count, struct cow **ret,
	     struct err *err)
{
	struct cow *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_num(err, ENOMEM, "shared pages");
	c->sources = sources;
	c->found = calloc(count + 1, sizeof(*c->found));
	if (!c->found) {
		cow_free(c);
		return err_num(err, ENOMEM, "shared pages");
	}
	c->count = count;
	r = sweep_sources(c, err);
	/* Too many pieces: of what comes behind, each process saves all. */
	if (r < 0 && r != -E2BIG) {
		cow_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static int by_holder(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* [first, last) of the spans have the same holder. */
static int put_one(pid_t ns_pid, const struct span *first,
		   const struct span *last, const struct img_sink *out,
		   struct err *err)
{
	uint64_t pairs[2 * PAIRS];
	CowRecord rec = COW_RECORD__INIT;

	rec.pid = ns_pid;
	rec.from = first->tag;
	rec.ranges = pairs;
	for (; first < last; first++) {
		pairs[rec.n_ranges++] = first->start;
		pairs[rec.n_ranges++] = first->end;
	}
	return img_put(out, TAG_COW, &rec.base, err);
}

static int put_source(pid_t ns_pid, const struct spans *found,
		      const struct img_sink *out, struct err *err)
{
	auto_free struct span *v = calloc(found->count, sizeof(*v));
	size_t last;
	int r = 0;

	if (!v)
		return err_num(err, ENOMEM, "shared pages");
	memcpy(v, found->v, found->count * sizeof(*v));
	qsort(v, found->count, sizeof(*v), by_holder);
	for (size_t i = 0; i < found->count && r == 0; i = last) {
		for (last = i; last < found->count && last - i < PAIRS; last++)
			if (v[last].tag != v[i].tag)
				break;
		r = put_one(ns_pid, v + i, v + last, out, err);
	}
	return r;
}

int cow_put(const struct cow *c, const struct img_sink *out, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->count && r == 0; i++)
		if (c->found[i].count)
			r = put_source(c->sources[i].ns_pid, &c->found[i], out,
				       err);
	return r;
}
