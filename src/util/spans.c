/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/spans.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

/* A range that was added, and when. */
struct entry {
	struct span span;
	size_t turn;
};

int spans_add(struct spans *s, uint64_t start, uint64_t end, int32_t tag,
	      struct err *err)
{
	struct span *last = s->count ? &s->v[s->count - 1] : NULL;

	if (start >= end)
		return 0;
	if (last && last->end == start && last->tag == tag) {
		last->end = end;
		return 0;
	}
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 8;
		struct span *v = reallocarray(s->v, room, sizeof(*v));

		if (!v)
			return err_num(err, ENOMEM, "%zu ranges", room);
		s->v = v;
		s->room = room;
	}
	s->v[s->count++] = (struct span){ start, end, tag };
	return 0;
}

void spans_done(struct spans *s)
{
	free(s->v);
	*s = (struct spans){ 0 };
}

static int by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->span.start != y->span.start)
		return x->span.start < y->span.start ? -1 : 1;
	return (x->turn > y->turn) - (x->turn < y->turn);
}

static bool is_settled(const struct spans *s)
{
	for (size_t i = 1; i < s->count; i++)
		if (s->v[i - 1].end > s->v[i].start)
			return false;
	return true;
}

/* ---- a heap: whoever was added first is on top ----------------------------
 */

static void heap_swap(const struct entry **heap, size_t a, size_t b)
{
	const struct entry *e = heap[a];

	heap[a] = heap[b];
	heap[b] = e;
}

static void heap_push(const struct entry **heap, size_t *n,
		      const struct entry *e)
{
	size_t i = (*n)++;

	heap[i] = e;
	while (i && heap[(i - 1) / 2]->turn > heap[i]->turn) {
		heap_swap(heap, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static void heap_pop(const struct entry **heap, size_t *n)
{
	size_t i = 0, least;

	heap[0] = heap[--(*n)];
	for (;;) {
		least = i;
		for (size_t k = 2 * i + 1; k <= 2 * i + 2; k++)
			if (k < *n && heap[k]->turn < heap[least]->turn)
				least = k;
		if (least == i)
			return;
		heap_swap(heap, i, least);
		i = least;
	}
}

/* From left to right; at each place whoever was added first is heard. */
static int resolve(const struct entry *e, size_t count,
		   const struct entry **heap, struct spans *out,
		   struct err *err)
{
	uint64_t at = 0, end;
	size_t i = 0, n = 0;
	int r;

	while (i < count || n) {
		if (!n)
			at = e[i].span.start;
		for (; i < count && e[i].span.start <= at; i++)
			heap_push(heap, &n, &e[i]);
		while (n && heap[0]->span.end <= at)
			heap_pop(heap, &n);
		if (!n)
			continue;
		end = heap[0]->span.end;
		if (i < count && e[i].span.start < end)
			end = e[i].span.start;
		r = spans_add(out, at, end, heap[0]->span.tag, err);
		if (r < 0)
			return r;
		at = end;
	}
	return 0;
}

int spans_settle(struct spans *s, struct err *err)
{
	auto_free struct entry *entries = NULL;
	auto_free const struct entry **heap = NULL;
	struct spans out = { 0 };
	int r;

	if (is_settled(s))
		return 0;
	entries = calloc(s->count, sizeof(*entries));
	heap = calloc(s->count, sizeof(*heap));
	if (!entries || !heap)
		return err_num(err, ENOMEM, "%zu ranges", s->count);
	for (size_t i = 0; i < s->count; i++)
		entries[i] = (struct entry){ s->v[i], i };
	qsort(entries, s->count, sizeof(*entries), by_start);
	r = resolve(entries, s->count, heap, &out, err);
	if (r < 0) {
		spans_done(&out);
		return r;
	}
	spans_done(s);
	*s = out;
	return 0;
}

int spans_minus(const struct spans *a, const struct spans *b, bool same_tag,
		struct spans *ret, struct err *err)
{
	struct spans out = { 0 };
	size_t k = a->count ? spans_find(b, a->v[0].start) : 0;
	int r = 0;

	for (size_t i = 0; i < a->count && r == 0; i++) {
		uint64_t at = a->v[i].start;

		while (k < b->count && b->v[k].end <= at)
			k++;
		for (size_t n = k;
		     n < b->count && r == 0 && b->v[n].start < a->v[i].end;
		     n++) {
			if (same_tag && b->v[n].tag != a->v[i].tag)
				continue;
			r = spans_add(&out, at, b->v[n].start, a->v[i].tag,
				      err);
			if (b->v[n].end > at)
				at = b->v[n].end;
		}
		if (r == 0)
			r = spans_add(&out, at, a->v[i].end, a->v[i].tag, err);
	}
	if (r < 0)
		spans_done(&out);
	*ret = out;
	return r;
}

int spans_and(const struct spans *a, const struct spans *b, bool same_tag,
	      struct spans *ret, struct err *err)
{
	struct spans rest = { 0 };
	int r;

	*ret = (struct spans){ 0 };
	r = spans_minus(a, b, same_tag, &rest, err);
	if (r == 0)
		r = spans_minus(a, &rest, true, ret, err);
	spans_done(&rest);
	return r;
}

int spans_lay(struct spans *a, const struct spans *b, struct err *err)
{
	struct spans out = { 0 };
	int r = 0;

	for (size_t i = 0; i < b->count && r == 0; i++)
		r = spans_add(&out, b->v[i].start, b->v[i].end, b->v[i].tag,
			      err);
	for (size_t i = 0; i < a->count && r == 0; i++)
		r = spans_add(&out, a->v[i].start, a->v[i].end, a->v[i].tag,
			      err);
	if (r == 0)
		r = spans_settle(&out, err);
	if (r < 0) {
		spans_done(&out);
		return r;
	}
	spans_done(a);
	*a = out;
	return 0;
}

size_t spans_find(const struct spans *s, uint64_t address)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->v[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool spans_cover(const struct spans *s, uint64_t start, uint64_t end)
{
	for (size_t i = spans_find(s, start);
	     i < s->count && s->v[i].start <= start; i++) {
		start = s->v[i].end;
		if (start >= end)
			return true;
	}
	return start >= end;
}
