// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For what it tells of mappings the kernel walks all their page tables, twice:
 * of large processes that is most of what there would be to do before anything
 * can be saved.  So of these the walks are spared where that can be had;
 * otherwise they are done side by side.
 */
#include "engine/collect.h"

#include <stdlib.h>

#include "kernel/numa_maps.h"
#include "kernel/quick_maps.h"
#include "util/cleanup.h"
#include "util/parallel.h"

/* A process's smaps, its numa_maps, or what tells both without a walk. */
enum what { MAPPINGS, POLICIES, QUICK };

struct look {
	struct collected_task *task;
	enum what what;
	const struct quick_maps *quick;
	bool every; /* any mapping may have a policy */
	struct numa_maps numa;
	int result;
	struct err err;
};

/*
 * To ask the process itself for the policy of a mapping takes as long as the
 * kernel takes to walk so many pages of it.
 */
#define PAGES_OF_A_CALL 2000

/*
 * To make ready for the quick look takes about 3 ms, before the stop.  For so
 * much memory the walks take a fifth of that at least, and for any process
 * longer than the quick look.
 */
#define WORTH_KB (32u << 10)

void quick_look_note(struct quick_look *q, const struct collection *running)
{
	q->rss_kb = 0;
	for (size_t i = 0; i < running->ntasks; i++)
		if (!running->tasks[i].frozen->zombie)
			q->rss_kb += running->tasks[i].view.status->vm_rss_kb;
}

/* Without it everything takes longer, and nothing else changes. */
void quick_look_prepare(struct quick_look *q, uint64_t least_kb)
{
	struct err ignored = { 0 };

	if (q->rss_kb >= (least_kb ? least_kb : WORTH_KB))
		(void)quick_maps_new(&q->maps, &ignored);
}

void quick_look_done(struct quick_look *q)
{
	quick_maps_free(q->maps);
	q->maps = NULL;
}

static void look_for_policies(struct look *l)
{
	const struct task_view *v = &l->task->view;
	uint64_t pages = v->status->vm_rss_kb >> 2;

	l->every = maps_few(v->proc_fd, pages / PAGES_OF_A_CALL);
	if (!l->every)
		l->result = numa_maps_read(v->proc_fd, &l->numa, &l->err);
}

static void look(void *arg, size_t i)
{
	struct look *l = &((struct look *)arg)[i];
	struct collected_task *t = l->task;

	if (l->what == QUICK)
		t->quick = quick_maps_read(l->quick, t->view.pid,
					   t->view.proc_fd, &t->vmas);
	else if (l->what == POLICIES)
		look_for_policies(l);
	else
		l->result = maps_read(t->view.proc_fd, &t->vmas, &l->err);
}

static size_t plan(struct collection *c, enum what what, struct look *looks)
{
	size_t n = 0;

	for (size_t i = 0; i < c->ntasks; i++)
		if (!c->tasks[i].frozen->zombie && !c->tasks[i].quick)
			looks[n++] = (struct look){
				.task = &c->tasks[i],
				.what = what,
				.quick = c->quick ? c->quick->maps : NULL,
			};
	return n;
}

/* A process that ends has no mappings any more. */
static int take(struct collection *c, struct look *l, struct err *err)
{
	struct collected_task *t = l->task;

	if (collection_gone(c, l->result))
		return 0;
	if (l->result < 0) {
		*err = l->err;
		return err_wrap(err, l->result, "process %d", t->view.ns_pid);
	}
	/* But for the kernel's own, above all that a process has. */
	for (size_t i = 0; l->every && i < t->vmas.count; i++)
		t->vmas.v[i].policy = t->vmas.v[i].start <= INT64_MAX;
	numa_maps_mark(&l->numa, &t->vmas);
	return 0;
}

static int have_objects(struct collection *c, struct err *err)
{
	for (size_t i = 0; i < c->ntasks; i++) {
		struct collected_task *t = &c->tasks[i];

		c->nquick += t->quick;
		t->vma_object = calloc(t->vmas.count ? t->vmas.count : 1,
				       sizeof(*t->vma_object));
		if (!t->vma_object)
			return err_set(err, -ENOMEM, "mappings");
	}
	return 0;
}

int collect_vmas(struct collection *c, struct err *err)
{
	auto_free struct look *looks =
		calloc(2 * c->ntasks + 1, sizeof(*looks));
	size_t n = 0;
	int r = 0;

	if (!looks)
		return err_set(err, -ENOMEM, "mappings");
	if (c->quick && c->quick->maps)
		n = plan(c, QUICK, looks);
	parallel_run(n, look, looks);
	n = plan(c, MAPPINGS, looks);
	/* Policies are asked for of a frozen tree only. */
	if (c->frozen)
		n += plan(c, POLICIES, looks + n);
	parallel_run(n, look, looks);
	for (size_t i = 0; i < n && r == 0; i++)
		r = take(c, &looks[i], err);
	for (size_t i = 0; i < n; i++)
		free(looks[i].numa.v);
	return r < 0 ? r : have_objects(c, err);
}
