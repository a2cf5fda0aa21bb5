// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/collect.h"
#include "engine/own_limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/mapping.h"

static int collect_threads(struct collection *c, struct collected_task *t,
			   struct err *err)
{
	size_t n = t->frozen->nthreads;
	int r;

	t->threads = calloc(n ? n : 1, sizeof(*t->threads));
	t->thread_status = calloc(n ? n : 1, sizeof(*t->thread_status));
	if (!t->threads || !t->thread_status)
		return err_set(err, -ENOMEM, "threads");
	for (size_t i = 0; i < n; i++) {
		struct frozen_thread *f = &t->frozen->threads[i];
		struct thread_view *v = &t->threads[t->nthreads];
		struct proc_status *st = &t->thread_status[t->nthreads];

		r = proc_read_status(f->proc_fd, st, err);
		if (collection_gone(c, r))
			continue;
		if (r < 0)
			return err_wrap(err, r, "thread %d", f->ns_tid);
		t->nthreads++;
		v->task = &t->view;
		v->tid = f->tid;
		v->ns_tid = f->ns_tid;
		v->proc_fd = f->proc_fd;
		v->status = st;
		if (!c->frozen)
			continue;
		v->tracee = &f->tracee;
		v->regs = &f->regs_image;
		v->sigmask = f->sigmask;
		v->rseq = f->rseq;
		v->siginfo = f->siginfo;
		v->nsiginfo = f->nsiginfo;
	}
	return 0;
}

static void fill_view(struct collection *c, struct collected_task *t,
		      struct frozen_task *f)
{
	t->frozen = f;
	t->view.pid = f->pid;
	t->view.ns_pid = f->ns_pid;
	t->view.proc_fd = f->proc_fd;
	t->view.pidfd = f->pidfd;
	t->view.stat = &f->stat;
	t->view.status = &f->status;
	t->view.vmas = &t->vmas;
	if (!c->frozen)
		return;
	t->view.siginfo = f->siginfo;
	t->view.nsiginfo = f->nsiginfo;
	t->view.remote = f->remote;
	if (f->nthreads)
		t->view.leader = &f->threads[0].tracee;
}

static int collect_task(struct collection *c, struct collected_task *t,
			struct frozen_task *f, struct err *err)
{
	fill_view(c, t, f);
	return f->zombie ? 0 : collect_threads(c, t, err);
}

static int compare_ids(const void *a, const void *b)
{
	const struct collected_id *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int collect_ids(struct collection *c, struct err *err)
{
	size_t room = c->tree->ntasks + c->tree->nthreads;

	c->ids = calloc(room ? room : 1, sizeof(*c->ids));
	if (!c->ids)
		return err_set(err, -ENOMEM, "ids");
	for (size_t i = 0; i < c->tree->ntasks; i++) {
		const struct frozen_task *f = &c->tree->tasks[i];

		if (!f->nthreads)
			c->ids[c->nids++] =
				(struct collected_id){ f->pid, f->ns_pid };
		for (size_t n = 0; n < f->nthreads; n++)
			c->ids[c->nids++] =
				(struct collected_id){ f->threads[n].tid,
						       f->threads[n].ns_tid };
	}
	qsort(c->ids, c->nids, sizeof(*c->ids), compare_ids);
	return 0;
}

static int collect_all(struct collection *c, struct err *err)
{
	int r;

	r = object_table_new(&c->objects, err);
	if (r == 0)
		r = mapping_devices(&c->devices, err);
	if (r == 0)
		r = collect_ids(c, err);
	if (r < 0)
		return r;
	c->tasks = calloc(c->tree->ntasks, sizeof(*c->tasks));
	if (!c->tasks)
		return err_set(err, -ENOMEM, "tasks");
	for (c->ntasks = 0; c->ntasks < c->tree->ntasks;) {
		struct frozen_task *f = &c->tree->tasks[c->ntasks];

		r = collect_task(c, &c->tasks[c->ntasks++], f, err);
		if (r < 0)
			return err_wrap(err, r, "process %d", f->ns_pid);
	}
	r = collect_vmas(c, err);
	if (r == 0)
		r = collect_descriptors(c, err);
	if (r == 0)
		r = collect_queues(c, err);
	return r < 0 ? r : collect_mappings(c, err);
}

int collect(struct frozen_tree *tree, bool frozen,
	    const struct quick_look *quick, struct collection *ret,
	    struct err *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->tree = tree;
	ret->frozen = frozen;
	ret->quick = quick;
	/* All its open files are looked at. */
	own_limit_raise();
	r = collect_all(ret, err);
	if (r < 0)
		collection_done(ret);
	return r;
}
