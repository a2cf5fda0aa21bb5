// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/dump.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/ends.h"
#include "engine/kin.h"
#include "engine/outside.h"
#include "engine/watching.h"
#include "images/files.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "kernel/ipc.h"
#include "util/cleanup.h"

static uint32_t engine_fd_object(void *arg, pid_t ns_pid, int fd)
{
	const struct dump *d = arg;

	return collection_fd_object(d->collection, ns_pid, fd);
}

static uint32_t engine_vma_object(void *arg, const struct task_view *task,
				  const struct vma *vma)
{
	const struct dump *d = arg;

	return collection_vma_object(d->collection, task, vma);
}

static int engine_segment(void *arg, int id, uint64_t *ret_count, int *ret_fd,
			  struct err *err)
{
	const struct dump *d = arg;

	return collection_segment(d->collection, id, ret_count, ret_fd, err);
}

static uint32_t engine_inode_object(void *arg, dev_t dev, uint64_t inode)
{
	const struct dump *d = arg;

	return collection_inode_object(d->collection, dev, inode);
}

struct each {
	int (*fn)(void *arg, const struct fd_view *fd, struct err *err);
	void *arg;
};

static int call_each(void *arg, struct collected_file *file,
		     const struct fd_view *view, struct err *err)
{
	const struct each *each = arg;

	(void)file;
	return each->fn(each->arg, view, err);
}

/* What a running job has closed meanwhile is left out. */
static int engine_each_file(void *arg,
			    int (*fn)(void *fn_arg, const struct fd_view *fd,
				      struct err *err),
			    void *fn_arg, struct err *err)
{
	const struct dump *d = arg;
	struct collection *c = d->collection;
	struct each each = { .fn = fn, .arg = fn_arg };
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->nfiles; i++) {
		r = collection_view(c, &c->files[i], call_each, &each, err);
		if (collection_gone(c, r))
			r = 0;
	}
	return r;
}

static int engine_open_object(void *arg, uint32_t object, int *ret_fd,
			      struct err *err)
{
	const struct dump *d = arg;

	return collection_open_object(d->collection, object, ret_fd, err);
}

static pid_t engine_ns_pid(void *arg, pid_t pid)
{
	const struct dump *d = arg;

	return collection_ns_pid(d->collection, pid);
}

static uint32_t engine_socket_object(void *arg, dev_t dev, uint64_t inode)
{
	const struct dump *d = arg;

	return collection_socket(d->collection, dev, inode);
}

static const struct unix_table *engine_unix_sockets(void *arg, struct err *err)
{
	const struct dump *d = arg;

	return collection_sockets(d->collection, err);
}

static const struct unix_queue *engine_unix_queue(void *arg, uint32_t object,
						  const uint32_t **ret_objects)
{
	const struct dump *d = arg;

	return collection_queue(d->collection, object, ret_objects);
}

/* The devices on which others may hold what is memory of the tree. */
static int new_outside(const struct collection *c, struct outside **ret,
		       struct err *err)
{
	dev_t devices[1 + HUGETLB_SIZES + COLLECTION_MOUNTS];
	size_t n = 0;

	devices[n++] = c->devices.shmem;
	for (size_t i = 0; i < HUGETLB_SIZES; i++)
		if (c->devices.huge[i])
			devices[n++] = c->devices.huge[i];
	for (size_t i = 0; i < c->nmounts; i++)
		devices[n++] = c->mounts[i];
	return outside_new(devices, n, ret, err);
}

static int look_at_others(struct dump *d, struct err *err)
{
	const struct collection *c = d->collection;
	auto_free pid_t *pids = calloc(c->nids + 1, sizeof(*pids));
	int r = 0;

	if (!pids)
		return err_set(err, -ENOMEM, "processes");
	for (size_t i = 0; i < c->nids; i++)
		pids[i] = c->ids[i].tid;
	if (!*d->outside)
		r = new_outside(c, d->outside, err);
	return r < 0 ? r : outside_look(*d->outside, pids, c->nids, err);
}

/* Looked for when the first resource asks; NULL: that failed. */
static const struct outside *look_outside(struct dump *d)
{
	if (!d->looked_outside)
		(void)look_at_others(d, &d->outside_failure);
	d->looked_outside = true;
	return d->outside_failure.code ? NULL : *d->outside;
}

static pid_t engine_held_outside(void *arg, const char *link)
{
	const struct outside *o = look_outside(arg);

	return o ? outside_link(o, link) : 0;
}

static pid_t engine_shmem_outside(void *arg, dev_t dev, uint64_t inode,
				  bool *ret_unread)
{
	const struct outside *o = look_outside(arg);

	return o ? outside_shmem(o, dev, inode, ret_unread) : 0;
}

static int engine_epoll_target(void *arg, const struct task_view *task,
			       int epfd, int tfd, uint32_t nth,
			       uint32_t *ret_object, struct err *err)
{
	const struct dump *d = arg;

	return collection_epoll_target(d->collection, task, epfd, tfd, nth,
				       ret_object, err);
}

/*
 * The main stack stays as it is: calls are made on it.  What is over a file
 * has pages that were not written and are not the file's for a moment.
 */
static void watch_range(const struct dump *d, const struct task_view *task,
			const struct vma *vma, enum mapping_kind kind,
			struct page_range *range)
{
	const struct watches *w = d->args->watches;
	const uint64_t unwatched =
		VMA_GROWSDOWN |
		(d->args->watch == ENGINE_WATCH_AUTO ? VMA_HUGEPAGE : 0);

	if (!w || !w->count || kind != MAPPING_ANON || range->huge)
		return;
	range->watch_fd = watches_find(w, task->pid, task->stat->start_time);
	range->since = vma->watched;
	range->watchable = !vma->shared && !(vma->flags & unwatched);
	if (!range->since && !range->watchable)
		range->watch_fd = -1;
}

static int engine_pages_of_task(void *arg, const struct task_view *task,
				const struct vma *vma, struct err *err)
{
	const struct dump *d = arg;
	const char *why, *remedy;
	enum mapping_kind kind =
		mapping_classify(vma, &d->collection->devices, &why, &remedy);
	struct page_range range = {
		.pid = task->pid,
		.ns_pid = task->ns_pid,
		.proc_fd = task->proc_fd,
		.start = vma->start,
		.end = vma->end,
		.huge = vma->flags & VMA_HUGETLB ? vma->page_size : 0,
		.over_file = kind != MAPPING_ANON,
		.readable = (vma->prot & PROT_READ) != 0,
		.common = vma->common,
		.alone = d->alone && !vma->common,
		.watch_fd = -1,
	};

	watch_range(d, task, vma, kind, &range);
	/* An old kernel would look for each page of what is only reserved. */
	if (d->trusts_smaps && !vma->present && !range.huge && !range.over_file)
		return 0;
	return search_add_range(d->search, &range, err);
}

static int engine_pages_of_fd(void *arg, uint32_t object, int fd, uint64_t size,
			      struct err *err)
{
	const struct dump *d = arg;

	return search_add_file(d->search, object, fd, size, err);
}

static int engine_ends_at(void *arg, const struct thread_view *thread,
			  uint64_t clear_child_tid, uint64_t robust_head,
			  struct err *err)
{
	const struct dump *d = arg;

	return d->pin ? ends_note(d->pin, thread, clear_child_tid, robust_head,
				  err)
		      : 0;
}

static int engine_witness(void *arg, const struct thread_view *thread,
			  pid_t *ret_ns_pid, struct err *err)
{
	struct dump *d = arg;
	int r = witness_have(&d->witness, thread->task->proc_fd,
			     thread->status->uids[0], thread->status->gids[0],
			     err);

	if (r == 0)
		*ret_ns_pid = d->witness.ns_pid;
	return r;
}

static int engine_pty_master(void *arg, uint32_t index)
{
	const struct dump *d = arg;

	return collection_pty_master(d->collection, index);
}

static int engine_copy_out(void *arg, enum copy_kind kind, int fd,
			   int *ret_file, struct err *err)
{
	const struct dump *d = arg;

	return d->args->copy_out
		       ? d->args->copy_out(d->args->arg, kind, fd, ret_file,
					   err)
		       : err_set(err, -ENOTSUP,
				 "no supervisor is there to copy what is in "
				 "it");
}

static bool engine_inode_open(void *arg, dev_t dev, uint64_t inode)
{
	const struct dump *d = arg;

	return collection_inode_open(d->collection, dev, inode);
}

static uint32_t engine_session_tty(void *arg, pid_t session)
{
	const struct dump *d = arg;

	return collection_session_tty(d->collection, session);
}

static pid_t engine_ns_group(void *arg, pid_t group)
{
	const struct dump *d = arg;

	return collection_ns_group(d->collection, group);
}

static int engine_sync_later(void *arg, int fd, struct err *err)
{
	const struct dump *d = arg;

	return sync_add(d->syncs, fd, err);
}

static int engine_end_quietly(void *arg, int fd, struct err *err)
{
	const struct dump *d = arg;

	return farewell_add(d->farewell, fd, err);
}

/* Nothing of the job changes its init; without one: whoever started it. */
static pid_t launcher(const struct dump *d)
{
	return d->args->init_pid ? d->args->init_pid
				 : d->collection->tree->tasks[0].stat.ppid;
}

static int read_allowed_cpus(struct dump *d, struct err *err)
{
	const pid_t pid = launcher(d);
	long n;

	n = syscall(SYS_sched_getaffinity, pid, sizeof(d->allowed_cpus),
		    d->allowed_cpus);
	if (n < 0)
		return err_sys(err, "CPUs of process %d", pid);
	d->options.allowed_cpus = d->allowed_cpus;
	d->options.allowed_cpus_len = (uint32_t)n;
	return 0;
}

/* All of the job were born with these, and nobody can lose one. */
static int read_inherited_filters(struct dump *d, struct err *err)
{
	auto_close int proc_fd = -EBADF;
	struct proc_status status;
	int r;

	r = proc_open(launcher(d), 0, &proc_fd, err);
	r = r < 0 ? r : proc_read_status(proc_fd, &status, err);
	if (r < 0)
		return err_wrap(err, r, "process %d", launcher(d));
	d->options.inherited_filters = status.seccomp_filters;
	proc_status_done(&status);
	return 0;
}

/* All of the tree are in the namespace of its init, or it is refused. */
static int find_ipc(struct dump *d, struct err *err)
{
	const pid_t pid = d->args->init_pid ? d->args->init_pid
					    : d->collection->tasks[0].view.pid;
	auto_close int proc_fd = -EBADF;
	bool own = true;
	int r;

	r = proc_open(pid, 0, &proc_fd, err);
	if (r == 0)
		r = ipc_is_own(proc_fd, &own, err);
	d->options.ipc_pid = own ? 0 : pid;
	d->options.mount_pid = pid;
	return r < 0 ? err_wrap(err, r, "process %d", pid) : 0;
}

int dump_init(struct dump *d, const struct checkpoint_args *args,
	      struct collection *collection, struct search *search,
	      const struct img_sink *out, struct outside **outside,
	      struct err *err)
{
	int r;

	memset(d, 0, sizeof(*d));
	d->args = args;
	d->collection = collection;
	d->search = search;
	d->outside = outside;
	d->trusts_smaps = pagemap_trusts_smaps();
	d->options.carry = args->carry;
	d->options.local = args->local;
	d->options.closed = args->closed;
	d->options.local_bytes = args->local_bytes;
	d->options.private_bytes = args->private_bytes;
	d->options.stdio = args->stdio;
	d->options.terminal = args->terminal;
	d->options.pts_fd = -1;
	d->options.allow_uprobes = args->allow_uprobes;
	d->options.reset_peers = args->reset_peers;
	d->options.owner_uid = args->owner->uid;
	d->options.owner = args->owner;
	d->engine = (struct dump_engine){
		.arg = d,
		.fd_object = engine_fd_object,
		.vma_object = engine_vma_object,
		.segment = engine_segment,
		.inode_object = engine_inode_object,
		.each_file = engine_each_file,
		.open_object = engine_open_object,
		.ns_pid = engine_ns_pid,
		.held_outside = engine_held_outside,
		.shmem_outside = engine_shmem_outside,
		.socket_object = engine_socket_object,
		.unix_sockets = engine_unix_sockets,
		.unix_queue = engine_unix_queue,
		.epoll_target = engine_epoll_target,
		.pages_of_task = engine_pages_of_task,
		.pages_of_fd = engine_pages_of_fd,
		.ends_at = engine_ends_at,
		.witness = engine_witness,
		.sync_later = engine_sync_later,
		.end_quietly = engine_end_quietly,
		.pty_master = engine_pty_master,
		.copy_out = engine_copy_out,
		.inode_open = engine_inode_open,
		.session_tty = engine_session_tty,
		.ns_group = engine_ns_group,
	};
	d->ctx.out = out;
	d->ctx.objects = collection->objects;
	d->ctx.engine = &d->engine;
	d->ctx.options = &d->options;
	r = maps_guards_hidden(&d->ctx.guards_hidden, err);
	r = r < 0 ? r : read_allowed_cpus(d, err);
	r = r < 0 ? r : find_ipc(d, err);
	return r < 0 ? r : read_inherited_filters(d, err);
}

int dump_failure(const struct dump *d, struct err *err)
{
	if (!d->outside_failure.code)
		return 0;
	*err = d->outside_failure;
	return err->code;
}

static int put_task(struct dump *d, const struct collected_task *t,
		    struct err *err)
{
	const struct frozen_task *f = t->frozen;
	TaskRecord rec = TASK_RECORD__INIT;
	auto_free int32_t *tids = calloc(t->nthreads + 1, sizeof(*tids));

	if (!tids)
		return err_set(err, -ENOMEM, "process");
	kin_fill(d->collection, d->args->root_pid, f, &rec);
	rec.comm = (char *)f->stat.comm;
	rec.has_exit_signal = 1;
	rec.exit_signal = (int32_t)f->stat.exit_signal;
	if (f->zombie) {
		rec.exit_status = f->stat.exit_status;
	} else if (f->threads[0].tracee.stop_signal) {
		rec.state = TASK_RECORD__STATE__STOPPED;
		rec.has_stop_signal = 1;
		rec.stop_signal = f->threads[0].tracee.stop_signal;
		/* Until the parent has asked, stat shows the signal. */
		rec.exit_status = f->stat.exit_status;
	}
	for (size_t i = 0; i < t->nthreads; i++)
		tids[i] = t->threads[i].ns_tid;
	rec.tids = tids;
	rec.n_tids = t->nthreads;
	return img_put(d->ctx.out, TAG_TASK, &rec.base, err);
}

static int dump_view(void *arg, struct collected_file *file,
		     const struct fd_view *view, struct err *err)
{
	struct dump *d = arg;
	int r;

	if (!file->ops || !file->ops->dump_file)
		return err_set(err, -ENOTSUP, "%s cannot be saved", view->link);
	r = file->ops->dump_file(&d->ctx, view, err);
	return r < 0 ? err_wrap(err, r, "%s: %s", file->ops->name, view->link)
		     : 0;
}

static int dump_file(struct dump *d, struct collected_file *f, struct err *err)
{
	int r = collection_view(d->collection, f, dump_view, d, err);

	if (r < 0)
		return err_wrap(err, r, "process %d: fd %d",
				d->collection->tasks[f->task].view.ns_pid,
				f->fd);
	return 0;
}

/* Shared memory first: descriptors of it name it. */
static int dump_files(struct dump *d, struct err *err)
{
	struct collection *c = d->collection;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->nfiles; i++)
		if (c->files[i].shmem)
			r = dump_file(d, &c->files[i], err);
	for (size_t i = 0; r == 0 && i < c->nfiles; i++)
		if (!c->files[i].shmem)
			r = dump_file(d, &c->files[i], err);
	return r;
}

static int dump_slots(struct dump *d, struct err *err)
{
	const struct collection *c = d->collection;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->nslots; i++) {
		const struct collected_slot *s = &c->slots[i];
		FdRecord rec = FD_RECORD__INIT;

		rec.pid = c->tasks[s->task].view.ns_pid;
		rec.fd = (uint32_t)s->fd;
		rec.object = c->files[s->file].object;
		rec.cloexec = s->cloexec;
		r = img_put(d->ctx.out, TAG_FD, &rec.base, err);
	}
	return r;
}

static int dump_task_resources(struct dump *d, const struct task_view *view,
			       struct err *err)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		int r;

		if (!ops->dump_task)
			continue;
		r = ops->dump_task(&d->ctx, view, err);
		if (r < 0)
			return err_wrap(err, r, "%s", ops->name);
	}
	return 0;
}

static int dump_thread_resources(struct dump *d, const struct thread_view *view,
				 struct err *err)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		int r;

		if (!ops->dump_thread)
			continue;
		r = ops->dump_thread(&d->ctx, view, err);
		if (r < 0)
			return err_wrap(err, r, "%s", ops->name);
	}
	return 0;
}

static int watch_task(struct dump *d, const struct collected_task *t,
		      struct err *err)
{
	const struct frozen_task *f = t->frozen;
	struct watches *w = d->args->watches;

	if (!d->watch || watches_find(w, f->pid, f->stat.start_time) >= 0)
		return 0;
	return watching_make(w, f, t->view.remote, err);
}

/* What only a thread itself can ask for is asked while its call is open. */
static int dump_thread(struct dump *d, struct collected_task *t, size_t i,
		       struct err *err)
{
	struct thread_view *v = &t->threads[i];
	struct err ignored = { 0 };
	int r;

	v->remote = t->view.remote;
	r = remote_begin(v->remote, v->tracee, err);
	if (r < 0)
		return r;
	if (i == 0)
		r = watch_task(d, t, err);
	if (r == 0 && i == 0)
		r = dump_task_resources(d, &t->view, err);
	if (r == 0)
		r = dump_thread_resources(d, v, err);
	if (r == 0)
		return remote_end(v->remote, err);
	/* The first failure is the one to be told. */
	(void)remote_end(v->remote, &ignored);
	return r;
}

/*
 * *last is the remote of the process before, and then of this one: most
 * processes of a tree run the same library.
 */
static int dump_task(struct dump *d, struct collected_task *t,
		     struct remote **last, struct err *err)
{
	struct frozen_task *f =
		&d->collection->tree->tasks[t - d->collection->tasks];
	int r = 0;

	/* Where user dispatch is in the way, one was made that avoids it. */
	if (!f->remote)
		r = remote_new(f->pid, &f->threads[0].tracee, *last, &f->remote,
			       err);
	if (r < 0)
		return r;
	/* Puts its memory back: what it used must not be saved with pages. */
	remote_free(*last);
	*last = f->remote;
	f->remote = NULL;
	r = pages_step(d->pages, err);
	if (r < 0)
		return r;
	d->alone = t->quick;
	t->view.remote = *last;
	for (size_t i = 0; r == 0 && i < t->nthreads; i++) {
		r = dump_thread(d, t, i, err);
		if (r < 0)
			err_wrap(err, r, "thread %d", t->threads[i].ns_tid);
	}
	t->view.remote = NULL;
	for (size_t i = 0; i < t->nthreads; i++)
		t->threads[i].remote = NULL;
	return r;
}

static int dump_ahead(struct dump *d, struct err *err)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		int r = ops->dump_ahead ? ops->dump_ahead(&d->ctx, err) : 0;

		if (r < 0)
			return err_wrap(err, r, "%s", ops->name);
	}
	return 0;
}

static int dump_tree_resources(struct dump *d, struct err *err)
{
	for (size_t i = 0; resource_table[i]; i++) {
		const struct resource_ops *ops = resource_table[i];
		int r = ops->dump_tree ? ops->dump_tree(&d->ctx, err) : 0;

		if (r < 0)
			return err_wrap(err, r, "%s", ops->name);
	}
	return 0;
}

int dump_records(struct dump *d, struct err *err)
{
	struct collection *c = d->collection;
	struct remote *last = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->ntasks; i++)
		r = put_task(d, &c->tasks[i], err);
	if (r == 0)
		r = dump_ahead(d, err);
	if (r == 0)
		r = dump_files(d, err);
	if (r == 0)
		r = dump_tree_resources(d, err);
	if (r == 0)
		r = dump_slots(d, err);
	for (size_t i = 0; r == 0 && i < c->ntasks; i++) {
		if (c->tasks[i].frozen->zombie)
			continue;
		r = dump_task(d, &c->tasks[i], &last, err);
		if (r < 0)
			err_wrap(err, r, "process %d", c->tasks[i].view.ns_pid);
	}
	remote_free(last);
	witness_done(&d->witness);
	return r;
}
