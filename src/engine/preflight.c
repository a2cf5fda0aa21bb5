// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/kin.h"
#include "engine/passages.h"
#include "engine/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct checking {
	struct collection *c;
	const struct dump_ctx *ctx;
	struct refusals *no;
};

static const struct resource_ops *find_ops(const struct fd_view *view)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];

		if (ops->scope == SCOPE_FILE && ops->match && ops->match(view))
			return ops;
	}
	return NULL;
}

/* What only a process that has it could do at the restore, or be asked. */
static void check_traveller(const struct checking *k,
			    const struct fd_view *view)
{
	struct f_owner_ex owner = { 0 };

	if (strcmp(view->link, "anon_inode:[eventpoll]") != 0 &&
	    !(view->flags & O_ASYNC) &&
	    (fcntl(view->own_fd, F_GETOWN_EX, &owner) < 0 || !owner.pid))
		return;
	refusals_add(k->no, view->task->ns_pid, view->task->stat->comm, -1,
		     "let the job receive it before a checkpoint",
		     "%s, sent over a Unix socket and not received yet",
		     view->link);
}

static int check_view(void *arg, struct collected_file *file,
		      const struct fd_view *view, struct err *err)
{
	const struct checking *k = arg;

	file->ops = find_ops(view);
	if (!file->ops) {
		refusals_add(k->no, view->task->ns_pid, view->task->stat->comm,
			     view->fd, "close it before a checkpoint",
			     "an open file of a kind that cannot be saved: %s",
			     view->link);
		return 0;
	}
	if (view->travels)
		check_traveller(k, view);
	if (!file->ops->check_file)
		return 0;
	return file->ops->check_file(k->ctx, view, k->no, err);
}

static int check_files(struct checking *k, struct err *err)
{
	for (size_t i = 0; i < k->c->nfiles; i++) {
		struct collected_file *f = &k->c->files[i];
		int r = collection_view(k->c, f, check_view, k, err);

		if (r < 0 && !collection_gone(k->c, r))
			return err_wrap(err, r, "process %d: fd %d",
					k->c->tasks[f->task].view.ns_pid,
					f->fd);
	}
	return 0;
}

static int check_task(struct checking *k, const struct collected_task *t,
		      const struct resource_ops *ops, struct err *err)
{
	int r = 0;

	if (ops->check_task)
		r = ops->check_task(k->ctx, &t->view, k->no, err);
	if (r < 0 && !collection_gone(k->c, r))
		return err_wrap(err, r, "%s", ops->name);
	for (size_t i = 0; ops->check_thread && i < t->nthreads; i++) {
		r = ops->check_thread(k->ctx, &t->threads[i], k->no, err);
		if (r < 0 && !collection_gone(k->c, r))
			return err_wrap(err, r, "thread %d: %s",
					t->threads[i].ns_tid, ops->name);
	}
	return 0;
}

static int check_tasks(struct checking *k, struct err *err)
{
	for (size_t i = 0; i < k->c->ntasks; i++) {
		const struct collected_task *t = &k->c->tasks[i];
		int r = 0;

		if (t->frozen->zombie)
			continue;
		for (size_t n = 0; r == 0 && resource_table[n]; n++)
			r = check_task(k, t, resource_table[n], err);
		if (r < 0)
			return err_wrap(err, r, "process %d", t->view.ns_pid);
	}
	return 0;
}

static int check_tree(const struct checking *k, struct err *err)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		int r = ops->check_tree ? ops->check_tree(k->ctx, k->no, err)
					: 0;

		if (r < 0 && !collection_gone(k->c, r))
			return err_wrap(err, r, "%s", ops->name);
	}
	return 0;
}

int preflight(struct collection *c, const struct dump_ctx *ctx, pid_t init_pid,
	      pid_t root_pid, struct refusals *no, struct err *err)
{
	struct checking k = { .c = c, .ctx = ctx, .no = no };
	int r;

	r = preflight_tree(c, init_pid, ctx->options->terminal, no, err);
	if (r == 0)
		r = preflight_mounts(c, init_pid, no, err);
	/* A tree that changes meanwhile makes no sense. */
	if (r == 0 && c->frozen)
		r = kin_check(c, root_pid, no, err);
	if (r == 0)
		r = check_tree(&k, err);
	if (r == 0)
		r = check_files(&k, err);
	if (r == 0)
		r = check_tasks(&k, err);
	/* Others than stopped threads cannot be asked. */
	if (r == 0 && c->frozen)
		r = passages_check(c, no, err);
	return r;
}
