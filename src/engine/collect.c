// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/outside.h"
#include "kernel/kcmp.h"
#include "model/mapping.h"
#include "util/cleanup.h"

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
	int r;

	fill_view(c, t, f);
	if (f->zombie)
		return 0;
	r = collect_threads(c, t, err);
	if (r < 0)
		return r;
	/* A process that ends has no mappings any more. */
	r = maps_read(f->proc_fd, &t->vmas, err);
	if (collection_gone(c, r))
		return 0;
	if (r < 0)
		return r;
	t->vma_object = calloc(t->vmas.count ? t->vmas.count : 1,
			       sizeof(*t->vma_object));
	return t->vma_object ? 0 : err_set(err, -ENOMEM, "mappings");
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
			c->ids[c->nids++] = (struct collected_id){ f->pid,
								   f->ns_pid };
		for (size_t n = 0; n < f->nthreads; n++)
			c->ids[c->nids++] = (struct collected_id){
				f->threads[n].tid, f->threads[n].ns_tid
			};
	}
	qsort(c->ids, c->nids, sizeof(*c->ids), compare_ids);
	return 0;
}

static int collect_all(struct collection *c, struct err *err)
{
	int r;

	r = object_table_new(&c->objects, err);
	if (r == 0)
		r = mapping_shmem_device(&c->shmem_device, err);
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
	r = collect_descriptors(c, err);
	return r < 0 ? r : collect_mappings(c, err);
}

int collect(struct frozen_tree *tree, bool frozen, struct collection *ret,
	    struct err *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->tree = tree;
	ret->frozen = frozen;
	r = collect_all(ret, err);
	if (r < 0)
		collection_done(ret);
	return r;
}

static void task_done(struct collected_task *t)
{
	for (size_t i = 0; i < t->nthreads; i++)
		proc_status_done(&t->thread_status[i]);
	free(t->thread_status);
	free(t->threads);
	free(t->vma_object);
	maps_done(&t->vmas);
}

void collection_done(struct collection *c)
{
	for (size_t i = 0; i < c->ntasks; i++)
		task_done(&c->tasks[i]);
	for (size_t i = 0; i < c->nslots; i++)
		free(c->slots[i].fdinfo);
	for (size_t i = 0; i < c->nfiles; i++) {
		free(c->files[i].open_path);
		free(c->files[i].fdinfo);
	}
	free(c->tasks);
	free(c->slots);
	free(c->files);
	free(c->ids);
	outside_free(c->outside);
	object_table_free(c->objects);
	memset(c, 0, sizeof(*c));
}

int collection_add_file(struct collection *c, const struct collected_file *file,
			struct err *err)
{
	if (c->nfiles == c->files_room) {
		size_t room = c->files_room ? c->files_room * 2 : 256;
		struct collected_file *list =
			realloc(c->files, room * sizeof(*list));

		if (!list)
			return err_set(err, -ENOMEM, "open files");
		c->files = list;
		c->files_room = room;
	}
	c->files[c->nfiles++] = *file;
	return 0;
}

/* The worker's own descriptor of it, and the text of the link. */
static int open_view(const struct collected_task *t,
		     const struct collected_file *f, int *ret_fd,
		     char **ret_link, struct err *err)
{
	auto_close int fd = -EBADF;
	char name[32];
	int r;

	if (f->fd >= 0) {
		(void)snprintf(name, sizeof(name), "fd/%d", f->fd);
		fd = (int)syscall(SYS_pidfd_getfd, t->view.pidfd, f->fd, 0);
	} else {
		/* Without O_PATH a device would notice. */
		fd = openat(t->view.proc_fd, f->open_path,
			    O_PATH | O_CLOEXEC);
	}
	if (fd < 0)
		return err_sys(err, "%s", f->fd >= 0 ? name : f->open_path);
	r = proc_read_link(t->view.proc_fd, f->fd >= 0 ? name : f->open_path,
			   ret_link, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

int collection_view(struct collection *c, struct collected_file *file,
		    file_view_fn fn, void *arg, struct err *err)
{
	const struct collected_task *t = &c->tasks[file->task];
	struct fd_view view = {
		.task = &t->view,
		.fd = file->fd,
		.object = file->object,
		.flags = file->flags,
		.position = file->position,
		.fdinfo = file->fdinfo ? file->fdinfo : "",
		.mapped = file->fd < 0,
	};
	auto_close int own_fd = -EBADF;
	auto_free char *link = NULL;
	struct stat st;
	int r;

	r = open_view(t, file, &own_fd, &link, err);
	if (r < 0)
		return r;
	if (fstat(own_fd, &st) < 0)
		return err_sys(err, "stat of %s", link);
	view.own_fd = own_fd;
	view.link = link;
	view.stat = &st;
	return fn(arg, file, &view, err);
}

pid_t collection_ns_pid(const struct collection *c, pid_t pid)
{
	struct collected_id key = { .tid = pid };
	const struct collected_id *id;

	id = bsearch(&key, c->ids, c->nids, sizeof(key), compare_ids);
	return id ? id->ns_tid : 0;
}

const struct collected_task *collection_task(const struct collection *c,
					     pid_t ns_pid)
{
	for (size_t i = 0; i < c->ntasks; i++)
		if (c->tasks[i].view.ns_pid == ns_pid)
			return &c->tasks[i];
	return NULL;
}

static int compare_slot_key(const void *key, const void *member)
{
	const struct collected_slot *x = key, *y = member;

	if (x->task != y->task)
		return x->task < y->task ? -1 : 1;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

uint32_t collection_fd_object(const struct collection *c, pid_t ns_pid, int fd)
{
	const struct collected_task *t = collection_task(c, ns_pid);
	const struct collected_slot *s = NULL;
	struct collected_slot key = { .fd = fd };

	if (!t)
		return 0;
	key.task = (uint32_t)(t - c->tasks);
	if (c->nslots)
		s = bsearch(&key, c->slots, c->nslots, sizeof(key),
			    compare_slot_key);
	return s ? c->files[s->file].object : 0;
}

uint32_t collection_vma_object(const struct collection *c,
			       const struct task_view *task,
			       const struct vma *vma)
{
	for (size_t i = 0; i < c->ntasks; i++)
		if (&c->tasks[i].view == task)
			return c->tasks[i].vma_object[vma - task->vmas->v];
	return 0;
}

int collection_epoll_target(const struct collection *c,
			    const struct task_view *task, int epfd, int tfd,
			    uint32_t nth, uint32_t *ret_object,
			    struct err *err)
{
	uint32_t likely = collection_fd_object(c, task->ns_pid, tfd);
	int order, r;

	if (likely) {
		r = kcmp_epoll(task->pid, tfd, task->pid, epfd, tfd, nth,
			       &order, err);
		if (r < 0)
			return r;
		if (order == 0) {
			*ret_object = likely;
			return 0;
		}
	}
	/* The number was closed or used again: it lives on in a duplicate. */
	for (size_t i = 0; i < c->nfiles; i++) {
		const struct collected_file *f = &c->files[i];

		if (f->fd < 0)
			continue;
		r = kcmp_epoll(c->tasks[f->task].view.pid, f->fd, task->pid,
			       epfd, tfd, nth, &order, err);
		if (r < 0)
			return r;
		if (order == 0) {
			*ret_object = f->object;
			return 0;
		}
	}
	return err_set(err, -ENOENT,
		       "epoll %d waits for a file that no process of the job "
		       "has open (registered as %d)", epfd, tfd);
}
