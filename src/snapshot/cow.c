/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/cow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "images/limits.h"
#include "images/tags.h"
#include "util/cleanup.h"

/* A range of a process, with what may be looked up by it. */
struct piece {
	int32_t pid;
	uint64_t start, end;
	const Extent *extent;
};

struct pieces {
	struct piece *v;
	size_t count, room;
};

static int add(struct pieces *p, int32_t pid, uint64_t start, uint64_t end,
	       const Extent *extent, struct err *err)
{
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 256;
		struct piece *v = reallocarray(p->v, room, sizeof(*v));

		if (!v)
			return err_num(err, ENOMEM, "%zu ranges", room);
		p->v = v;
		p->room = room;
	}
	p->v[p->count++] = (struct piece){ pid, start, end, extent };
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void sort(struct pieces *p)
{
	if (p->count)
		qsort(p->v, p->count, sizeof(*p->v), by_address);
}

/* The first that ends behind address, of this process or a later one. */
static size_t first_behind(const struct pieces *p, int32_t pid,
			   uint64_t address)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (p->v[mid].pid < pid ||
		    (p->v[mid].pid == pid && p->v[mid].end <= address))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool touches(const struct pieces *p, const struct piece *x)
{
	size_t i = first_behind(p, x->pid, x->start);

	return i < p->count && p->v[i].pid == x->pid && p->v[i].start < x->end;
}

/* Mappings that touch are as good as one. */
static bool covers(const struct pieces *p, const struct piece *x)
{
	uint64_t at = x->start;

	for (size_t i = first_behind(p, x->pid, at);
	     i < p->count && p->v[i].pid == x->pid && p->v[i].start <= at;
	     i++) {
		at = p->v[i].end;
		if (at >= x->end)
			return true;
	}
	return false;
}

static int bad(const struct piece *x, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "pid %" PRId32 ": shared pages at 0x%" PRIx64
		       " to 0x%" PRIx64 ": %s",
		       x->pid, x->start, x->end, what);
}

/* Under the number of who has them, and of whose they are. */
static int take_record(const CowRecord *rec, struct pieces *mine,
		       struct pieces *theirs, struct err *err)
{
	int r = 0;

	if (rec->pid == rec->from || !rec->n_ranges || rec->n_ranges % 2)
		return err_set(err, -EBADMSG,
			       "pid %" PRId32 ": shares %zu addresses with "
			       "pid %" PRId32,
			       rec->pid, rec->n_ranges, rec->from);
	for (size_t i = 0; i < rec->n_ranges && r == 0; i += 2) {
		struct piece x = { rec->pid, rec->ranges[i], rec->ranges[i + 1],
				   NULL };

		if (x.start >= x.end || x.start % IMAGE_PAGE ||
		    x.end % IMAGE_PAGE)
			return bad(&x, "no pages", err);
		r = add(mine, rec->pid, x.start, x.end, NULL, err);
		if (r == 0)
			r = add(theirs, rec->from, x.start, x.end, NULL, err);
	}
	return r;
}

static int take_records(const struct meta *meta, struct pieces *mine,
			struct pieces *theirs, struct pieces *maps,
			struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < meta->count && r == 0; i++) {
		const void *msg = meta->entries[i].msg;
		const VmaRecord *v = msg;

		if (meta->entries[i].tag == TAG_COW)
			r = take_record(msg, mine, theirs, err);
		else if (meta->entries[i].tag == TAG_VMA)
			r = add(maps, v->pid, v->start, v->end, NULL, err);
	}
	sort(mine);
	sort(theirs);
	sort(maps);
	return r;
}

static int take_extents(const struct extent_list *list, struct pieces *own,
			struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < list->count && r == 0; i++) {
		const struct extent_ref *ref = &list->refs[i];

		if (ref->pid)
			r = add(own, ref->pid, ref->start, ref->end,
				ref->extent, err);
	}
	sort(own);
	return r;
}

static int check_all(const struct pieces *mine, const struct pieces *theirs,
		     const struct pieces *maps, const struct pieces *own,
		     struct err *err)
{
	for (size_t i = 0; i < mine->count; i++) {
		const struct piece *x = &mine->v[i];

		if (i && x[-1].pid == x->pid && x[-1].end > x->start)
			return bad(x, "told twice", err);
		if (!covers(maps, x))
			return bad(x, "outside of its mappings", err);
		if (touches(own, x))
			return bad(x, "it has contents of its own", err);
	}
	for (size_t i = 0; i < theirs->count; i++) {
		if (!covers(maps, &theirs->v[i]))
			return bad(&theirs->v[i], "outside of its mappings",
				   err);
		if (touches(mine, &theirs->v[i]))
			return bad(&theirs->v[i], "they are another's", err);
	}
	return 0;
}

int cow_check(const struct meta *meta, const struct extent_list *list,
	      struct err *err)
{
	struct pieces mine = { 0 }, theirs = { 0 }, maps = { 0 }, own = { 0 };
	int r = take_records(meta, &mine, &theirs, &maps, err);

	if (r == 0 && mine.count)
		r = take_extents(list, &own, err);
	if (r == 0)
		r = check_all(&mine, &theirs, &maps, &own, err);
	free(mine.v);
	free(theirs.v);
	free(maps.v);
	free(own.v);
	return r;
}

static int append(struct extent_list *list, const struct extent_ref *ref,
		  struct err *err)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct extent_ref *refs =
			reallocarray(list->refs, room, sizeof(*refs));

		if (!refs)
			return err_num(err, ENOMEM, "%zu extents", room);
		list->refs = refs;
		list->room = room;
	}
	list->refs[list->count++] = *ref;
	return 0;
}

static int resolve_record(const CowRecord *rec, const struct pieces *own,
			  struct extent_list *list, struct err *err)
{
	int r = 0;

	for (size_t k = 0; k + 1 < rec->n_ranges; k += 2) {
		uint64_t start = rec->ranges[k], end = rec->ranges[k + 1];
		size_t i = first_behind(own, rec->from, start);

		for (; i < own->count && r == 0; i++) {
			const struct piece *x = &own->v[i];

			if (x->pid != rec->from || x->start >= end)
				break;
			r = append(list,
				   &(struct extent_ref){
					   .extent = x->extent,
					   .pid = rec->pid,
					   .start = x->start > start ? x->start
								     : start,
					   .end = x->end < end ? x->end : end,
				   },
				   err);
		}
	}
	return r;
}

static bool has_records(const struct meta *meta)
{
	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_COW)
			return true;
	return false;
}

int cow_resolve(const struct meta *meta, int32_t pid, struct extent_list *list,
		struct err *err)
{
	struct pieces own = { 0 };
	int r = 0;

	if (has_records(meta))
		r = take_extents(list, &own, err);
	for (size_t i = 0; i < meta->count && r == 0; i++) {
		const CowRecord *rec = (const CowRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag == TAG_COW &&
		    (!pid || rec->pid == pid))
			r = resolve_record(rec, &own, list, err);
	}
	free(own.v);
	return r;
}
