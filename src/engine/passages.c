/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/passages.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

/* What all threads are made to call, whatever is asked of them. */
static const struct remote_ask always[] = {
	{ "getpid", __NR_getpid, 6, { 0 } },
	{ "rt_sigaction", __NR_rt_sigaction, 0, { 0 } },
	{ 0 },
};

/* Of one process: the dispatch of each thread, off where it has none. */
struct checking {
	struct collected_task *t;
	struct frozen_task *f;
	struct dispatch *dispatch;
	bool dispatches;
	const struct remote *like; /* of another process, or NULL */
	struct filters good;       /* the last that let everything pass */
	struct refusals *no;
};

static void refuse(const struct checking *k, size_t i, const char *remedy,
		   const char *what)
{
	refusals_add(k->no, k->t->view.ns_pid, k->t->view.stat->comm, -1,
		     remedy, "thread %d: %s", (int)k->t->threads[i].ns_tid,
		     what);
}

static void refuse_dispatch(const struct checking *k, size_t i,
			    const char *what)
{
	refuse(k, i, "run it without system call emulation", what);
}

static int read_dispatches(struct checking *k, struct err *err)
{
	int r = 0;

	k->dispatch = calloc(k->t->nthreads + 1, sizeof(*k->dispatch));
	if (!k->dispatch)
		return err_num(err, ENOMEM, "threads");
	for (size_t i = 0; i < k->t->nthreads && r == 0; i++) {
		r = tracee_get_dispatch(k->t->threads[i].tracee,
					&k->dispatch[i], err);
		k->dispatches |= k->dispatch[i].on;
	}
	return r;
}

static bool is_filtered(const struct collected_task *t)
{
	for (size_t i = 0; i < t->nthreads; i++)
		if (t->threads[i].status->seccomp)
			return true;
	return false;
}

/* Those whose selector lets calls pass now, empty: have no range besides. */
static void leave_out_selected(struct checking *k, struct dispatch *within,
			       bool empty)
{
	for (size_t i = 0; i < k->t->nthreads; i++)
		if ((!empty || within[i].len == 0) &&
		    dispatch_selected(&within[i], k->f->pid))
			within[i].on = false;
}

/*
 * Best where no call is ever caught; else where the selector now lets it
 * pass; and where neither can be had, anywhere, to be told whose it is.
 */
static int make_remote(struct checking *k, struct err *err)
{
	struct tracee *leader = &k->f->threads[0].tracee;
	const size_t bytes = k->t->nthreads * sizeof(*k->dispatch);
	auto_free struct dispatch *within = malloc(bytes);
	int r = -ENOTSUP;

	if (!within)
		return err_num(err, ENOMEM, "threads");
	memcpy(within, k->dispatch, bytes);
	for (int empty = 1; r == -ENOTSUP && empty >= 0; empty--) {
		leave_out_selected(k, within, empty);
		r = remote_new_within(k->f->pid, leader, k->like, within,
				      k->t->nthreads, &k->f->remote, err);
	}
	if (r == -ENOTSUP && k->dispatches)
		r = remote_new(k->f->pid, leader, k->like, &k->f->remote, err);
	return r;
}

/*
 * A selector that lets calls pass must go on to do so when all the others run
 * again: one thread's own byte, in memory of its process alone.
 */
static const char *why_unsure(const struct checking *k, size_t i)
{
	uint64_t selector = k->dispatch[i].selector;
	const struct vma *v = maps_find(k->t->view.vmas, selector);

	for (size_t n = 0; n < k->t->nthreads; n++)
		if (n != i && k->dispatch[n].on &&
		    k->dispatch[n].selector == selector)
			return "its selector of syscall user dispatch is "
			       "another thread's, too";
	if (v && v->shared)
		return "its selector of syscall user dispatch is in shared "
		       "memory";
	return NULL;
}

static int check_dispatch(const struct checking *k, size_t i,
			  const struct passage *p)
{
	const char *why;

	if (!passage_needs_selector(p))
		return 0;
	why = p->selected ? why_unsure(k, i)
			  : "its syscall user dispatch would catch calls that "
			    "a checkpoint needs";
	if (why)
		refuse_dispatch(k, i, why);
	return why ? -ENOTSUP : 0;
}

static int check_asks(const struct passage *p, const struct remote_ask *ask,
		      struct err *err)
{
	int r = 0;

	for (; r == 0 && ask && ask->name; ask++)
		r = passage_admits(p, ask, err);
	return r;
}

static int check_filters(const struct passage *p, bool leader, struct err *err)
{
	int r;

	r = passage_leads_home(p, err);
	if (r == 0)
		r = check_asks(p, always, err);
	for (size_t n = 0; r == 0 && resource_table[n]; n++)
		if (leader || resource_table[n]->scope == SCOPE_THREAD)
			r = check_asks(p, resource_table[n]->asks, err);
	return r;
}

/* Mostly all threads have the same; of the leader more is asked. */
static bool is_good(const struct checking *k, const struct filters *f)
{
	return f->count == k->good.count &&
	       filters_common(f, &k->good) == f->count;
}

static void keep_good(struct checking *k, struct passage *p)
{
	filters_done(&k->good);
	k->good = p->filters;
	p->filters = (struct filters){ 0 };
}

static int check_thread(struct checking *k, size_t i, struct err *err)
{
	const struct thread_view *v = &k->t->threads[i];
	struct passage p;
	int r;

	r = remote_passage(k->f->remote, v->tracee, &p, err);
	if (r == -EACCES) {
		refuse(k, i, "start jobcrd as root, without a filter",
		       err->text);
		return 0;
	}
	if (r < 0)
		return r;
	r = check_dispatch(k, i, &p);
	if (r == 0 && !is_good(k, &p.filters)) {
		r = check_filters(&p, i == 0, err);
		if (r == 0)
			keep_good(k, &p);
		if (r == -ENOTSUP)
			refuse(k, i,
			       "let the filter allow it (one that only reads "
			       "may fail, too: SECCOMP_RET_ERRNO)",
			       err->text);
	}
	passage_done(&p);
	return r == -ENOTSUP ? 0 : r;
}

/*
 * Nobody can tell.  Who uses user dispatch has a handler for what it raises,
 * or dies of it.
 */
static void check_blind(const struct checking *k)
{
	if (k->t->view.status->sig_caught & 1ull << (SIGSYS - 1))
		refuse(k, 0,
		       "use Linux 6.4, or a kernel with BPF and its types "
		       "(jobcr check)",
		       "it has a handler for SIGSYS, and this kernel does not "
		       "tell whether it uses syscall user dispatch");
}

static int check_task(struct checking *k, bool blind, struct err *err)
{
	int r;

	if (blind)
		check_blind(k);
	r = read_dispatches(k, err);
	if (r < 0 || !(k->dispatches || is_filtered(k->t)))
		return r;
	r = make_remote(k, err);
	if (r == -ENOTSUP) {
		refuse(k, 0, "use a program with a C library", err->text);
		return 0;
	}
	for (size_t i = 0; i < k->t->nthreads && r == 0; i++)
		if (k->dispatch[i].on || k->t->threads[i].status->seccomp)
			r = check_thread(k, i, err);
	return r;
}

/*
 * The next process often runs the same library.  A remote takes memory: only
 * one that was not easy to find a place for is kept for the dump.
 */
static void next_like(struct checking *k, struct remote **like)
{
	if (!k->f->remote || k->dispatches)
		return;
	remote_free(*like);
	*like = k->f->remote;
	k->f->remote = NULL;
}

int passages_check(struct collection *c, struct refusals *no, struct err *err)
{
	struct remote *like = NULL;
	int r = 0;

	for (size_t i = 0; i < c->ntasks && r == 0; i++) {
		struct checking k = { .t = &c->tasks[i],
				      .f = &c->tree->tasks[i],
				      .like = like,
				      .no = no };

		if (k.f->zombie)
			continue;
		r = check_task(&k, c->tree->blind, err);
		free(k.dispatch);
		filters_done(&k.good);
		next_like(&k, &like);
		if (r < 0)
			err_wrap(err, r, "process %d", k.t->view.ns_pid);
	}
	remote_free(like);
	return r;
}
