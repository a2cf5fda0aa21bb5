// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For what it tells of mappings the kernel walks all their page tables, twice:
 * of large processes that is most of what there is to do before anything can
 * be saved, and it does not depend on each other.
 */
#include "engine/collect.h"

#include <stdlib.h>

#include "kernel/numa_maps.h"
#include "util/cleanup.h"
#include "util/parallel.h"

/* A process's smaps, or numa_maps. */
struct look {
	struct collected_task *task;
	bool policies, every; /* any mapping may have one */
	struct numa_maps numa;
	int result;
	struct err err;
};

/*
 * To ask the process itself for the policy of a mapping takes as long as the
 * kernel takes to walk so many pages of it.
 */
#define PAGES_OF_A_CALL 2000

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

	if (l->policies)
		look_for_policies(l);
	else
		l->result = maps_read(l->task->view.proc_fd, &l->task->vmas,
				      &l->err);
}

static size_t plan(struct collection *c, bool policies, struct look *looks)
{
	size_t n = 0;

	for (size_t i = 0; i < c->ntasks; i++)
		if (!c->tasks[i].frozen->zombie)
			looks[n++] = (struct look){
				.task = &c->tasks[i],
				.policies = policies,
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
	if (l->policies) {
		numa_maps_mark(&l->numa, &t->vmas);
		return 0;
	}
	t->vma_object = calloc(t->vmas.count ? t->vmas.count : 1,
			       sizeof(*t->vma_object));
	return t->vma_object ? 0 : err_set(err, -ENOMEM, "mappings");
}

int collect_vmas(struct collection *c, struct err *err)
{
	auto_free struct look *looks =
		calloc(2 * c->ntasks + 1, sizeof(*looks));
	size_t n;
	int r = 0;

	if (!looks)
		return err_set(err, -ENOMEM, "mappings");
	n = plan(c, false, looks);
	/* Policies are asked for of a frozen tree only. */
	if (c->frozen)
		n += plan(c, true, looks + n);
	parallel_run(n, look, looks);
	for (size_t i = 0; i < n && r == 0; i++)
		r = take(c, &looks[i], err);
	for (size_t i = 0; i < n; i++)
		free(looks[i].numa.v);
	return r;
}
