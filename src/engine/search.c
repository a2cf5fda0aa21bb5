// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/common.h"
#include "engine/cow.h"
#include "engine/search_parts.h"
#include "images/limits.h"
#include "kernel/hugetlb.h"
#include "kernel/maps.h"
#include "kernel/written.h"
#include "util/cleanup.h"

#define PAGE ((uint64_t)IMAGE_PAGE)
#ifndef SPANS_MAX            /* a test has less */
#define SPANS_MAX (1u << 22) /* that are kept: 64 MiB */
#endif

int search_new(struct borrow *borrow, bool arm, bool huge, struct search **ret,
	       struct err *err)
{
	struct search *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "pages");
	s->borrow = borrow;
	s->early = true;
	s->arm = arm;
	s->huge = huge;
	s->pagemap_fd = -EBADF;
	*ret = s;
	return 0;
}

void search_free(struct search *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nsources; i++)
		if (s->sources[i].fd >= 0)
			close(s->sources[i].fd);
	if (s->pagemap_fd >= 0)
		close(s->pagemap_fd);
	hugetlb_file_free(s->huge_file);
	cow_free(s->cow);
	free(s->cow_sources);
	free(s->sources);
	free(s->spans);
	free(s);
}

static int add_source(struct search *p, const struct source *source,
		      struct err *err)
{
	if (p->nsources == p->room) {
		size_t room = p->room ? p->room * 2 : 256;
		struct source *list = realloc(p->sources, room * sizeof(*list));

		if (!list)
			return err_set(err, -ENOMEM, "pages");
		p->sources = list;
		p->room = room;
	}
	p->sources[p->nsources++] = *source;
	return 0;
}

int search_add_range(struct search *p, const struct page_range *range,
		     struct err *err)
{
	struct source source = { .range = *range, .fd = -EBADF };

	return add_source(p, &source, err);
}

/*
 * Looking for data moves a description's position: never use the job's own.
 */
int search_add_file(struct search *p, uint32_t object, int fd, uint64_t size,
		    struct err *err)
{
	struct source source = { .object = object, .fd = -EBADF };
	char path[64];
	int r;

	if (size == 0)
		return 0;
	source.range.end = size;
	source.range.proc_fd = -EBADF;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	source.range.huge = hugetlb_of_file(fd);
	/* Looking for huge pages needs the right to write. */
	if (source.range.huge)
		source.fd = open(path, O_RDWR | O_CLOEXEC);
	if (source.fd < 0)
		source.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (source.fd < 0)
		return err_sys(err, "open contents");
	r = add_source(p, &source, err);
	if (r < 0)
		close(source.fd);
	return r;
}

static bool is_watched(const struct search *p, const struct page_range *range)
{
	struct page_run run;
	uint64_t next;
	size_t n;

	return range->since &&
	       written_scan(p->pagemap_fd, range->start, range->end, false,
			    &run, 1, &n, &next) == 0;
}

/*
 * Watched already, or from now on, before it is looked at for the first time.
 * What then cannot be watched is saved whole, each time.
 */
static void watch(struct search *p, struct source *s)
{
	struct page_range *range = &s->range;

	range->since = is_watched(p, range);
	if (!p->arm) {
		if (!range->since)
			range->watch_fd = -1;
		return;
	}
	if (range->since && range->watchable)
		return;
	if (range->since)
		(void)written_leave(range->watch_fd, range->start, range->end);
	range->since = false;
	if (!range->watchable ||
	    written_watch(range->watch_fd, range->start, range->end) < 0)
		range->watch_fd = -1;
}

static int watched_runs(struct search *p, const struct source *s,
			struct err *err)
{
	int r = written_scan(p->pagemap_fd, p->next, s->range.end, p->arm,
			     p->runs, SEARCH_RUNS, &p->nruns, &p->next);

	if (r < 0)
		return err_num(err, r, "process %d: written pages of %llx",
			       s->range.ns_pid, (unsigned long long)p->next);
	for (size_t i = 0; i < p->nruns && !s->range.since; i++) {
		p->marked |= !p->runs[i].written;
		p->runs[i].written = 1;
	}
	return 0;
}

/*
 * There were marks before it was watched: of an earlier watch, which the
 * kernel has dropped when a move (mremap) made two mappings one.  Pages with
 * such a mark are written to without its being taken away, so all have to go
 * before new ones are made.
 */
static int watch_anew(struct search *p, struct source *s, struct err *err)
{
	struct page_range *range = &s->range;
	uint64_t next = range->start;
	int r = written_leave(range->watch_fd, range->start, range->end);

	if (r == 0)
		r = written_watch(range->watch_fd, range->start, range->end);
	while (r == 0 && next < range->end)
		r = written_scan(p->pagemap_fd, next, range->end, true, p->runs,
				 SEARCH_RUNS, &p->nruns, &next);
	return r < 0 ? err_num(err, r, "process %d: marks of %llx",
			       range->ns_pid, (unsigned long long)next)
		     : 0;
}

static int keep_span(struct search *p, const struct source *s,
		     const struct page_run *run, struct err *err)
{
	if (!run->written && p->borrow)
		borrow_count(p->borrow, s->range.ns_pid, run->start, run->end);
	if (p->nspans == SPANS_MAX)
		return err_set(err, -E2BIG, "memory in more than %u pieces",
			       SPANS_MAX);
	if (p->nspans == p->spans_room) {
		size_t room = p->spans_room ? p->spans_room * 2 : 1024;
		struct stretch *list = realloc(p->spans, room * sizeof(*list));

		if (!list)
			return err_set(err, -ENOMEM, "pages");
		p->spans = list;
		p->spans_room = room;
	}
	p->spans[p->nspans++] =
		(struct stretch){ run->start | (run->written ? 0 : UNWRITTEN),
				  run->end };
	return 0;
}

static int keep_spans(struct search *p, struct source *s, struct err *err)
{
	int r = search_open_pagemap(p, s, err);

	if (r == 0 && s->range.watch_fd >= 0)
		watch(p, s);
	s->armed = p->arm && s->range.watch_fd >= 0;
	p->next = s->range.start;
	p->marked = false;
	s->first_span = p->nspans;
	while (r == 0 && p->next < s->range.end) {
		r = (s->range.watch_fd < 0 ? search_memory_runs
					   : watched_runs)(p, s, err);
		for (size_t i = 0; r == 0 && i < p->nruns; i++)
			r = keep_span(p, s, &p->runs[i], err);
	}
	if (r == 0 && p->marked && p->arm)
		r = watch_anew(p, s, err);
	/* Some of it is as good as nothing: then it is looked for again. */
	if (r < 0)
		p->nspans = s->first_span;
	s->scanned = r == 0;
	s->spans_end = p->nspans;
	p->nruns = 0;
	return r;
}

static void kept_runs(struct search *p, const struct source *s)
{
	while (p->nruns < SEARCH_RUNS && p->span < s->spans_end) {
		const struct stretch *v = &p->spans[p->span++];

		p->runs[p->nruns++] = (struct page_run){
			.start = stretch_start(v),
			.end = v->end,
			.written = !(v->start & UNWRITTEN),
		};
	}
	if (p->span == s->spans_end)
		p->next = s->range.end;
}

static void next_source(struct search *p)
{
	const struct source *last = &p->sources[p->at++];

	p->left = 0;
	if (p->at == p->nsources)
		return;
	p->next = p->sources[p->at].range.start;
	p->span = p->sources[p->at].first_span;
	hugetlb_file_free(take_ptr(p->huge_file));
	if (p->sources[p->at].range.proc_fd != last->range.proc_fd)
		search_leave_process(p);
}

static int find_runs(struct search *p, struct source *s, struct err *err)
{
	if (!s->range.pid)
		return search_file_runs(p, s, err);
	if (!s->scanned)
		return search_memory_runs(p, s, err);
	kept_runs(p, s);
	return 0;
}

/* What was taken, or an earlier process saves, is no part of this run. */
static bool own_part(struct search *p)
{
	const struct spans *left = p->sources[p->at].left;
	const uint64_t taken = p->sources[p->at].taken;
	struct page_run *run = &p->runs[p->run];

	if (run->start < taken)
		run->start = taken < run->end ? taken : run->end;
	p->run_ends = run->end;
	if (!left || run->start == run->end)
		return run->start < run->end;
	while (p->left < left->count && left->v[p->left].end <= run->start)
		p->left++;
	if (p->left == left->count)
		return true;
	if (left->v[p->left].start > run->start) {
		if (left->v[p->left].start < run->end)
			p->run_ends = left->v[p->left].start;
		return true;
	}
	run->start = left->v[p->left].end < run->end ? left->v[p->left].end
						     : run->end;
	return false;
}

/* Of what was looked at before, only that. */
static bool lost_part(struct search *p)
{
	struct page_run *run = &p->runs[p->run];
	uint64_t end = run->end;
	bool had = false;

	if (!own_part(p))
		return false;
	if (!run->written)
		borrow_had(p->borrow, p->sources[p->at].range.ns_pid,
			   run->start, p->run_ends, &had, &end);
	if (had)
		p->run_ends = end;
	else
		run->start = end;
	return had;
}

/* What is borrowed of it, neither. */
static int new_part(struct search *p, bool *ret, struct err *err)
{
	struct page_run *run = &p->runs[p->run];
	bool taken = false;
	uint64_t end;
	int r;

	*ret = p->again ? lost_part(p) : own_part(p);
	if (!*ret || p->again || run->written || !p->borrow)
		return 0;
	r = borrow_take(p->borrow, p->sources[p->at].range.ns_pid, run->start,
			p->run_ends, &taken, &end, err);
	if (r < 0)
		return r;
	*ret = !taken;
	if (taken)
		run->start = end;
	else
		p->run_ends = end;
	return 0;
}

static void rewind_sources(struct search *p)
{
	p->at = p->run = p->nruns = p->left = 0;
	p->next = p->nsources ? p->sources[0].range.start : 0;
	p->span = p->nsources ? p->sources[0].first_span : 0;
}

bool search_again(struct search *p)
{
	if (!p->borrow || !borrow_is_lost(p->borrow))
		return false;
	p->again = true;
	rewind_sources(p);
	return true;
}

static bool is_at_its_end(const struct search *p)
{
	const struct source *s = &p->sources[p->at];

	return p->next >= s->range.end ||
	       (p->again && (!s->range.pid || !s->scanned));
}

/* Move to the next run with something in it; false: there is no more. */
static int next_run(struct search *p, bool *ret_more, struct err *err)
{
	int r;

	for (;;) {
		while (p->run < p->nruns) {
			if (p->runs[p->run].start == p->runs[p->run].end) {
				p->run++;
				continue;
			}
			r = new_part(p, ret_more, err);
			if (r < 0 || *ret_more)
				return r;
		}
		p->run = p->nruns = 0;
		if (p->at < p->nsources && is_at_its_end(p)) {
			next_source(p);
			continue;
		}
		if (p->at == p->nsources) {
			*ret_more = false;
			return 0;
		}
		r = find_runs(p, &p->sources[p->at], err);
		if (r < 0)
			return r;
	}
}

static bool may_share(const struct page_range *range)
{
	return range->common && !range->huge;
}

/* Once, while all stand still: which pages do processes have in common? */
static int find_common(struct search *p, struct err *err)
{
	size_t n = 0;
	int r;

	if (p->cow)
		return 0;
	search_end_early(p);
	r = common_spread(p->sources, p->nsources, err);
	if (r < 0)
		return r;
	p->cow_sources = calloc(p->nsources + 1, sizeof(*p->cow_sources));
	if (!p->cow_sources)
		return err_set(err, -ENOMEM, "pages");
	for (size_t i = 0; i < p->nsources; i++) {
		const struct page_range *range = &p->sources[i].range;

		if (may_share(range))
			p->cow_sources[n++] = (struct cow_source){
				.ns_pid = range->ns_pid,
				.proc_fd = range->proc_fd,
				.start = range->start,
				.end = range->end,
				.over_file = range->over_file,
			};
	}
	r = cow_find(p->cow_sources, n, &p->cow, err);
	n = 0;
	for (size_t i = 0; i < p->nsources && r == 0; i++)
		if (may_share(&p->sources[i].range))
			p->sources[i].left = cow_of(p->cow, n++);
	return r;
}

/* Of memory that is not watched. */
struct finding {
	struct search *search;
	struct source **sources; /* by range */
};

static int take_span(void *arg, size_t i, uint64_t start, uint64_t end,
		     struct err *err)
{
	const struct finding *f = arg;
	struct search *p = f->search;
	struct source *s = f->sources[i];
	const struct page_run run = { .start = start,
				      .end = end,
				      .written = 1 };
	int r;

	if (s->spans_end > s->first_span &&
	    p->spans[p->nspans - 1].end == start) {
		p->spans[p->nspans - 1].end = end;
		return 0;
	}
	if (s->spans_end == s->first_span)
		s->first_span = p->nspans;
	r = keep_span(p, s, &run, err);
	s->spans_end = p->nspans;
	return r;
}

/* The first to be kept in mind. */
static int find_unwatched(struct search *p, struct err *err)
{
	auto_free struct source **sources =
		calloc(p->nsources + 1, sizeof(*sources));
	auto_free struct scan_range *ranges =
		calloc(p->nsources + 1, sizeof(*ranges));
	struct finding f = { p, sources };
	size_t n = 0;
	int r;

	if (!sources || !ranges)
		return err_set(err, -ENOMEM, "pages");
	for (size_t i = 0; i < p->nsources; i++) {
		struct source *s = &p->sources[i];

		if (!s->range.pid || s->range.watch_fd >= 0)
			continue;
		s->first_span = s->spans_end = 0;
		sources[n] = s;
		ranges[n++] = search_scan_range(s);
	}
	r = scan_ranges(ranges, n, take_span, &f, err);
	for (size_t i = 0; i < n && r == 0; i++)
		sources[i]->scanned = true;
	/* Some of it is as good as nothing: then it is looked for again. */
	if (r < 0)
		p->nspans = 0;
	return r;
}

static int find_all(struct search *p, struct err *err)
{
	int r = find_unwatched(p, err);

	for (size_t i = 0; i < p->nsources && r == 0; i++) {
		struct source *s = &p->sources[i];

		if (i && s[-1].range.proc_fd != s->range.proc_fd)
			search_leave_process(p);
		if (s->range.pid && !s->scanned)
			r = keep_spans(p, s, err);
	}
	search_leave_process(p);
	return r;
}

int search_pin(struct search *p, struct pin *pin, struct err *err)
{
	int r = find_common(p, err);

	if (r == 0)
		r = find_all(p, err);
	for (size_t i = 0; i < p->nsources && r == 0; i++) {
		struct source *s = &p->sources[i];

		if (s->range.pid && s->spans_end > s->first_span)
			r = pin_add(pin, s->range.pid, s->range.proc_fd,
				    stretch_start(&p->spans[s->first_span]),
				    &s->pinned, err);
	}
	if (r == 0)
		r = pin_hold(pin, err);
	for (size_t i = 0; i < p->nsources && r < 0; i++)
		p->sources[i].pinned = NULL;
	return r;
}

const struct source *search_sources(const struct search *p, size_t *ret_count,
				    const struct stretch **ret_spans)
{
	*ret_count = p->nsources;
	*ret_spans = p->spans;
	return p->sources;
}

static bool may_watch(const struct source *s)
{
	return s->range.watch_fd >= 0 && s->range.watchable;
}

/*
 * Huge pages are left alone, with all mappings that touch theirs: these may be
 * one again in a moment, which they are not if only some are watched.
 */
static int leave_huge(struct search *p, struct err *err)
{
	size_t last;
	int r = 0;

	for (size_t i = 0; i < p->nsources && r == 0; i = last) {
		struct source *s = p->sources;
		bool huge;

		if (i && s[i - 1].range.proc_fd != s[i].range.proc_fd)
			search_leave_process(p);
		last = i + 1;
		if (!may_watch(&s[i]))
			continue;
		while (last < p->nsources && may_watch(&s[last]) &&
		       s[last].range.proc_fd == s[i].range.proc_fd &&
		       s[last].range.start == s[last - 1].range.end)
			last++;
		r = search_open_pagemap(p, &s[i], err);
		huge = r == 0 &&
		       written_is_huge(p->pagemap_fd, s[i].range.start,
				       s[last - 1].range.end);
		for (size_t k = i; k < last && huge; k++)
			s[k].range.watchable = false;
	}
	search_leave_process(p);
	return r;
}

/* In more pieces than are kept: it is saved whole, piece by piece. */
static void leave_source(struct source *s)
{
	(void)written_leave(s->range.watch_fd, s->range.start, s->range.end);
	s->range.watch_fd = -1;
	s->range.since = false;
}

/* Where pages may be borrowed it has to be known how many. */
static int find_watched(struct search *p, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < p->nsources && r == 0; i++) {
		struct source *s = &p->sources[i];

		if (i && s[-1].range.proc_fd != s->range.proc_fd)
			search_leave_process(p);
		if (s->range.pid && !s->scanned && s->range.watch_fd >= 0)
			r = keep_spans(p, s, err);
		if (r == -E2BIG) {
			leave_source(s);
			r = 0;
		}
	}
	search_leave_process(p);
	if (p->borrow)
		borrow_choose(p->borrow);
	return r;
}

int search_begin(struct search *p, struct err *err)
{
	int r = find_common(p, err);

	if (r == 0 && p->arm && !p->huge)
		r = leave_huge(p, err);
	if (r == 0)
		r = find_watched(p, err);
	rewind_sources(p);
	return r;
}

int search_next(struct search *p, const struct source **ret, struct err *err)
{
	bool more = false;
	int r = (p->early ? search_next_early : next_run)(p, &more, err);

	*ret = r == 0 && more ? &p->sources[p->at] : NULL;
	return r;
}

size_t search_take(struct search *p, size_t pages, uint64_t *ret_start)
{
	struct page_run *run = &p->runs[p->run];
	uint64_t here = (p->run_ends - run->start) / PAGE;
	uint64_t end = (run->start + pages * PAGE) & ~(EXTENT_ALIGN - 1);

	if (pages >= here)
		pages = here;
	else if (end > run->start)
		pages = (end - run->start) / PAGE;
	else if (pages < EXTENT_MAX_PAGES)
		pages = 0;
	*ret_start = run->start;
	run->start += pages * PAGE;
	return pages;
}

static int disarm(const struct search *p, const struct source *s)
{
	const struct page_range *range = &s->range;
	int r = 0;

	if (!range->since || !s->scanned)
		return written_leave(range->watch_fd, range->start, range->end);
	for (size_t i = s->first_span; i < s->spans_end && r == 0; i++)
		if (!(p->spans[i].start & UNWRITTEN))
			r = written_unmark(range->watch_fd, p->spans[i].start,
					   p->spans[i].end);
	return r;
}

int search_disarm(const struct search *p)
{
	int r = 0;

	for (size_t i = 0; i < p->nsources && r == 0; i++)
		if (p->sources[i].armed && p->sources[i].range.watch_fd >= 0)
			r = disarm(p, &p->sources[i]);
	return r;
}

int search_put_common(const struct search *p, const struct img_sink *out,
		      struct err *err)
{
	return cow_put(p->cow, out, err);
}
