/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/heirs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "util/cleanup.h"

/* What a mapping is made with; those of one block have the same. */
#define FLAGS (VMA_NORESERVE | VMA_GROWSDOWN)
/* Advice that can be given later, but not be taken back. */
#define ADVICE (VMA_HUGEPAGE | VMA_NOHUGEPAGE)

/* A mapping in which pages are shared. */
struct candidate {
	uint64_t start, end, flags;
	uint32_t task;
};

/* Pages that somebody inherits by way of its parent, from this ancestor. */
struct way {
	uint32_t ancestor;
	struct spans pages;
};

struct ways {
	struct way *v;
	size_t count;
};

/* What processes inherit for others, in all: 96 MiB. */
#define PASSED_MAX (1u << 22)

struct work {
	const struct plan *plan;
	struct heirs *out;
	uint32_t *parents; /* whom each is forked off, a helper perhaps */
	unsigned int *depths;
	struct ways *ways; /* by member */
	size_t passed;     /* spans */
	struct candidate *candidates;
	size_t count, room;
};

void heirs_done(struct heirs *h)
{
	for (size_t i = 0; i < h->count; i++) {
		spans_done(&h->v[i].inherits);
		spans_done(&h->v[i].common);
		spans_done(&h->v[i].maps);
	}
	free(h->v);
	spans_done(&h->blocks);
	free(h->block_flags);
	*h = (struct heirs){ 0 };
}

static uint32_t task_of(const struct work *w, int32_t pid)
{
	return plan_thread(w->plan, pid)->task;
}

/* The record's ranges, each for the one and for the other. */
static int take_record(struct work *w, const CowRecord *rec, struct err *err)
{
	struct heir *who = &w->out->v[task_of(w, rec->pid)];
	struct heir *from = &w->out->v[task_of(w, rec->from)];
	int r = 0;

	for (size_t i = 0; i + 1 < rec->n_ranges && r == 0; i += 2) {
		r = spans_add(&who->common, rec->ranges[i], rec->ranges[i + 1],
			      rec->from, err);
		if (r == 0)
			r = spans_add(&from->common, rec->ranges[i],
				      rec->ranges[i + 1], rec->from, err);
	}
	return r;
}

static int take_records(struct work *w, struct err *err)
{
	const struct plan_record *recs;
	size_t count;
	int r = 0;

	recs = plan_kind(w->plan, TAG_COW, &count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = take_record(w, (const CowRecord *)recs[i].msg, err);
	for (size_t i = 0; i < w->out->count && r == 0; i++)
		r = spans_settle(&w->out->v[i].common, err);
	return r;
}

/* Pages of memory with a policy must be placed by it: they are copied. */
static int find_policies(const struct work *w, int32_t pid, struct spans *ret,
			 struct err *err)
{
	const struct plan_record *recs;
	size_t count;
	int r = 0;

	recs = plan_find(w->plan, TAG_MEMORY_POLICY, (uint32_t)pid, &count);
	for (size_t i = 0; i < count && r == 0; i++) {
		const MemoryPolicyRecord *p =
			(const MemoryPolicyRecord *)recs[i].msg;

		r = spans_add(ret, p->start, p->end, 0, err);
	}
	return r < 0 ? r : spans_settle(ret, err);
}

static bool touches(const struct spans *s, const VmaRecord *v)
{
	size_t i = spans_find(s, v->start);

	return i < s->count && s->v[i].start < v->end;
}

static bool may_be_of_block(const struct heir *h, const struct spans *policies,
			    const VmaRecord *v)
{
	return v->kind == VMA_RECORD__KIND__ANON_PRIVATE && !v->has_page_size &&
	       (v->flags & (VMA_ACCOUNT | VMA_NORESERVE)) &&
	       touches(&h->common, v) && !touches(policies, v);
}

static int add_candidate(struct work *w, uint32_t task, const VmaRecord *v,
			 struct err *err)
{
	if (w->count == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		struct candidate *more =
			reallocarray(w->candidates, room, sizeof(*more));

		if (!more)
			return err_num(err, ENOMEM, "%zu mappings", room);
		w->candidates = more;
		w->room = room;
	}
	w->candidates[w->count++] = (struct candidate){
		.start = v->start,
		.end = v->end,
		.flags = v->flags & (FLAGS | ADVICE),
		.task = task,
	};
	return 0;
}

static int find_of_task(struct work *w, uint32_t t, struct err *err)
{
	const int32_t pid = w->plan->tasks[t]->pid;
	const struct plan_record *vmas;
	struct spans policies = { 0 };
	size_t count;
	int r;

	vmas = plan_find(w->plan, TAG_VMA, (uint32_t)pid, &count);
	r = find_policies(w, pid, &policies, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		const VmaRecord *v = (const VmaRecord *)vmas[i].msg;

		if (may_be_of_block(&w->out->v[t], &policies, v))
			r = add_candidate(w, t, v, err);
	}
	spans_done(&policies);
	return r;
}

static int find_candidates(struct work *w, struct err *err)
{
	int r = 0;

	for (uint32_t t = 0; t < w->plan->ntasks && r == 0; t++)
		if (w->out->v[t].common.count)
			r = find_of_task(w, t, err);
	return r;
}

static int by_start(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->task > y->task) - (x->task < y->task);
}

/* Who differs from the first of its block makes a mapping of its own. */
static int join_block(struct work *w, size_t first, size_t last, uint64_t end,
		      struct err *err)
{
	const struct candidate *c = w->candidates;
	int32_t number = (int32_t)w->out->blocks.count;
	int r;

	w->out->block_flags[number] = c[first].flags;
	for (size_t i = first; i < last; i++)
		w->out->block_flags[number] &= c[i].flags | FLAGS;
	/* Tags differ: blocks that touch stay two. */
	r = spans_add(&w->out->blocks, c[first].start, end, number, err);
	for (size_t i = first; i < last && r == 0; i++)
		if ((c[i].flags & FLAGS) == (c[first].flags & FLAGS))
			r = spans_add(&w->out->v[c[i].task].maps, c[i].start,
				      c[i].end, number, err);
	return r;
}

static int join_blocks(struct work *w, struct err *err)
{
	const struct candidate *c = w->candidates;
	size_t last;
	int r = 0;

	w->out->block_flags =
		calloc(w->count + 1, sizeof(*w->out->block_flags));
	if (!w->out->block_flags)
		return err_num(err, ENOMEM, "%zu mappings", w->count);
	if (w->count)
		qsort(w->candidates, w->count, sizeof(*c), by_start);
	for (size_t i = 0; i < w->count && r == 0; i = last) {
		uint64_t end = c[i].end;

		for (last = i + 1; last < w->count && c[last].start < end;
		     last++)
			if (c[last].end > end)
				end = c[last].end;
		r = join_block(w, i, last, end, err);
	}
	for (size_t i = 0; i < w->out->count && r == 0; i++)
		r = spans_settle(&w->out->v[i].maps, err);
	return r;
}

/* Parents are born before their children. */
static int find_parents(struct work *w, struct err *err)
{
	const struct family *f = &w->plan->family;

	w->parents = calloc(f->nmembers + 1, sizeof(*w->parents));
	w->depths = calloc(f->nmembers + 1, sizeof(*w->depths));
	w->ways = calloc(f->nmembers + 1, sizeof(*w->ways));
	if (!w->parents || !w->depths || !w->ways)
		return err_num(err, ENOMEM, "%zu processes", f->nmembers);
	for (size_t i = 0; i < f->nmembers; i++)
		w->parents[i] = FAMILY_NOBODY;
	for (size_t i = 0; i < f->nsteps; i++) {
		const struct family_step *s = &f->steps[i];

		if (s->op != FAMILY_FORK)
			continue;
		w->parents[s->who] = s->by;
		w->depths[s->who] = w->depths[s->by] + 1;
	}
	return 0;
}

/* FAMILY_NOBODY: they are no relatives. */
static uint32_t common_ancestor(const struct work *w, uint32_t a, uint32_t b)
{
	while (w->depths[a] > w->depths[b])
		a = w->parents[a];
	while (w->depths[b] > w->depths[a])
		b = w->parents[b];
	while (a != b) {
		a = w->parents[a];
		b = w->parents[b];
	}
	return a;
}

static int add_all(struct spans *to, const struct spans *pages, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < pages->count && r == 0; i++)
		r = spans_add(to, pages->v[i].start, pages->v[i].end,
			      pages->v[i].tag, err);
	return r;
}

static int way_of(struct ways *ways, uint32_t ancestor, struct way **ret,
		  struct err *err)
{
	struct way *v;

	for (size_t i = ways->count; i-- > 0;) {
		*ret = &ways->v[i];
		if ((*ret)->ancestor == ancestor)
			return 0;
	}
	v = reallocarray(ways->v, ways->count + 1, sizeof(*v));
	if (!v)
		return err_num(err, ENOMEM, "%zu ancestors", ways->count + 1);
	ways->v = v;
	*ret = &v[ways->count++];
	**ret = (struct way){ .ancestor = ancestor };
	return 0;
}

/* Its parent is the ancestor, or inherits them itself: noted for later. */
static int enter_way(struct work *w, uint32_t who, uint32_t ancestor,
		     const struct spans *pages, struct err *err)
{
	struct way *way = NULL;
	int r;

	if (who == ancestor || !pages->count)
		return 0;
	r = add_all(&w->out->v[who].inherits, pages, err);
	if (r < 0 || w->parents[who] == ancestor)
		return r;
	r = way_of(&w->ways[who], ancestor, &way, err);
	return r < 0 ? r : add_all(&way->pages, pages, err);
}

/* Too many pieces: who is not served by its parent copies its pages. */
static int pass_on(struct work *w, uint32_t who, struct err *err)
{
	struct ways *ways = &w->ways[who];
	int r = 0;

	for (size_t i = 0; i < ways->count && r == 0; i++) {
		struct way *way = &ways->v[i];

		r = spans_settle(&way->pages, err);
		w->passed += way->pages.count;
		if (r == 0 && w->passed <= PASSED_MAX)
			r = enter_way(w, w->parents[who], way->ancestor,
				      &way->pages, err);
		spans_done(&way->pages);
	}
	return r;
}

/*
 * From each up to below the ancestor, all inherit its pages.  From the last
 * born to the first, so that what comes by many ways goes on as one.  Where
 * somebody is to have others for itself, those were entered before.
 */
static int go_ways(struct work *w, struct err *err)
{
	const struct family *f = &w->plan->family;
	int r = 0;

	for (size_t i = f->nsteps; i-- > 0 && r == 0;) {
		const uint32_t who = f->steps[i].who;

		if (f->steps[i].op != FAMILY_FORK)
			continue;
		r = spans_settle(&w->out->v[who].inherits, err);
		if (r == 0)
			r = pass_on(w, who, err);
	}
	return r;
}

static void ways_done(struct work *w)
{
	for (size_t i = 0; w->ways && i < w->out->count; i++) {
		for (size_t k = 0; k < w->ways[i].count; k++)
			spans_done(&w->ways[i].v[k].pages);
		free(w->ways[i].v);
	}
	free(w->ways);
}

/* What of the record both have in a block. */
static int usable_pages(const struct work *w, const CowRecord *rec,
			struct spans *ret, struct err *err)
{
	const struct spans *mine = &w->out->v[task_of(w, rec->pid)].maps;
	const struct spans *theirs = &w->out->v[task_of(w, rec->from)].maps;
	struct spans all = { 0 }, some = { 0 };
	int r = 0;

	*ret = (struct spans){ 0 };
	for (size_t i = 0; i + 1 < rec->n_ranges && r == 0; i += 2)
		r = spans_add(&all, rec->ranges[i], rec->ranges[i + 1],
			      rec->from, err);
	if (r == 0)
		r = spans_settle(&all, err);
	if (r == 0)
		r = spans_and(&all, mine, false, &some, err);
	if (r == 0)
		r = spans_and(&some, theirs, false, ret, err);
	spans_done(&all);
	spans_done(&some);
	return r;
}

static int enter_record(struct work *w, const CowRecord *rec, struct err *err)
{
	uint32_t who = task_of(w, rec->pid), from = task_of(w, rec->from);
	uint32_t ancestor = common_ancestor(w, who, from);
	struct spans pages;
	int r;

	if (ancestor == FAMILY_NOBODY)
		return 0;
	r = usable_pages(w, rec, &pages, err);
	if (r == 0)
		r = enter_way(w, who, ancestor, &pages, err);
	if (r == 0)
		r = enter_way(w, from, ancestor, &pages, err);
	spans_done(&pages);
	return r;
}

static int enter_records(struct work *w, struct err *err)
{
	const struct plan_record *recs;
	size_t count;
	int r = 0;

	recs = plan_kind(w->plan, TAG_COW, &count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = enter_record(w, (const CowRecord *)recs[i].msg, err);
	return r < 0 ? r : go_ways(w, err);
}

int heirs_plan(const struct plan *plan, struct heirs *ret, struct err *err)
{
	struct heirs out = { .count = plan->family.nmembers };
	struct work w = { .plan = plan, .out = &out };
	int r = 0;

	out.v = calloc(out.count + 1, sizeof(*out.v));
	if (!out.v)
		return err_num(err, ENOMEM, "%zu processes", out.count);
	r = find_parents(&w, err);
	if (r == 0)
		r = take_records(&w, err);
	if (r == 0)
		r = find_candidates(&w, err);
	if (r == 0)
		r = join_blocks(&w, err);
	if (r == 0)
		r = enter_records(&w, err);
	ways_done(&w);
	free(w.candidates);
	free(w.parents);
	free(w.depths);
	if (r < 0)
		heirs_done(&out);
	else
		*ret = out;
	return r;
}
