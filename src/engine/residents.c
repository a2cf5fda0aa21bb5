/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/residents.h"

#include <stdlib.h>

#include "kernel/residence.h"
#include "util/parallel.h"

#define PAGE ((uint64_t)IMAGE_PAGE)

/* What of a source lies between two EXTENT_ALIGN, or a part of it. */
struct place {
	const struct source *source;
	pid_t pid; /* its */
	uint64_t start, end;
	const struct stretch *first; /* that reaches into it */
	uint64_t nodes;
};

struct residents {
	struct place *v; /* by pid and address, once complete */
	size_t count, room;
};

static int add(struct residents *r, const struct source *source, uint64_t start,
	       uint64_t end, const struct stretch *s)
{
	struct place *last = r->count ? &r->v[r->count - 1] : NULL;

	if (last && last->source == source &&
	    last->start / EXTENT_ALIGN == start / EXTENT_ALIGN) {
		last->end = end;
		return 0;
	}
	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 1024;
		struct place *v = reallocarray(r->v, room, sizeof(*v));

		if (!v)
			return -1;
		r->v = v;
		r->room = room;
	}
	r->v[r->count++] = (struct place){
		.source = source,
		.pid = source->range.pid,
		.start = start,
		.end = end,
		.first = s,
	};
	return 0;
}

static int add_stretch(struct residents *r, const struct source *source,
		       const struct stretch *s)
{
	uint64_t start = stretch_start(s), end;
	int failed = 0;

	for (; start < s->end && !failed; start = end) {
		end = (start | (EXTENT_ALIGN - 1)) + 1;
		if (end > s->end)
			end = s->end;
		failed = add(r, source, start, end, s);
	}
	return failed;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static size_t count_pages(const struct place *p)
{
	size_t pages = 0;

	for (const struct stretch *s = p->first; pages < EXTENT_MAX_PAGES;
	     s++) {
		uint64_t start = later(stretch_start(s), p->start);
		uint64_t end = sooner(s->end, p->end);

		pages += (end - start) / PAGE;
		if (s->end >= p->end)
			break;
	}
	return pages;
}

/* As evenly as residence_of does it, of what is to be saved. */
static void look(void *arg, size_t i)
{
	struct place *p = &((struct residents *)arg)->v[i];
	const size_t step = residence_step(count_pages(p));
	void *pages[RESIDENCE_SAMPLES];
	const struct stretch *s = p->first;
	size_t n = 0, skip = 0;

	for (; n < RESIDENCE_SAMPLES; s++) {
		uint64_t at = later(stretch_start(s), p->start);
		uint64_t end = sooner(s->end, p->end);
		uint64_t here = (end - at) / PAGE;

		for (; skip < here && n < RESIDENCE_SAMPLES; skip += step)
			pages[n++] = (void *)(at + skip * PAGE);
		skip -= sooner(here, skip);
		if (s->end >= p->end)
			break;
	}
	p->nodes = residence_ask(p->pid, pages, n);
}

static int by_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

struct residents *residents_note(const struct search *search)
{
	struct residents *r = calloc(1, sizeof(*r));
	const struct stretch *spans;
	const struct source *s;
	size_t n;
	int failed = !r;

	s = search_sources(search, &n, &spans);
	for (; n && !failed; n--, s++)
		for (size_t k = s->first_span; k < s->spans_end && !failed; k++)
			failed = add_stretch(r, s, &spans[k]);
	if (failed) {
		residents_free(r);
		return NULL;
	}
	parallel_run(r->count, look, r);
	if (r->count)
		qsort(r->v, r->count, sizeof(*r->v), by_address);
	return r;
}

uint64_t residents_of(const struct residents *r, pid_t pid, uint64_t address)
{
	size_t low = 0, high = r ? r->count : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct place *p = &r->v[mid];

		if (p->pid < pid || (p->pid == pid && p->end <= address))
			low = mid + 1;
		else
			high = mid;
	}
	return r && low < r->count && r->v[low].pid == pid &&
			       r->v[low].start <= address
		       ? r->v[low].nodes
		       : 0;
}

void residents_free(struct residents *r)
{
	if (!r)
		return;
	free(r->v);
	free(r);
}
