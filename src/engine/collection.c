// SPDX-License-Identifier: GPL-2.0-or-later
/* What was collected, for those who ask. */
#include "engine/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/kcmp.h"
#include "util/cleanup.h"

static int compare_ids(const void *a, const void *b)
{
	const struct collected_id *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
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
	for (size_t i = 0; i < c->nqueues; i++) {
		unix_queue_done(&c->queues[i].queue);
		free(c->queues[i].objects);
	}
	free(c->queues);
	unix_table_done(&c->sockets);
	free(c->tasks);
	free(c->slots);
	free(c->files);
	free(c->ids);
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
	char name[48];
	int r;

	if (f->travels) {
		(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", f->fd);
		fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	} else if (f->fd >= 0) {
		(void)snprintf(name, sizeof(name), "fd/%d", f->fd);
		fd = (int)syscall(SYS_pidfd_getfd, t->view.pidfd, f->fd, 0);
	} else {
		/* Without O_PATH a device would notice. */
		fd = openat(t->view.proc_fd, f->open_path, O_PATH | O_CLOEXEC);
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
		.travels = file->travels,
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

uint32_t collection_inode_object(const struct collection *c, dev_t dev,
				 uint64_t inode)
{
	for (size_t i = 0; i < c->nfiles; i++)
		if (c->files[i].fd >= 0 && c->files[i].ino == inode &&
		    c->files[i].dev == dev)
			return c->files[i].object;
	return 0;
}

int collection_open_object(const struct collection *c, uint32_t object,
			   int *ret_fd, struct err *err)
{
	const struct collected_file *f = NULL;
	int fd;

	for (size_t i = 0; i < c->nfiles && !f; i++)
		if (c->files[i].fd >= 0 && c->files[i].object == object)
			f = &c->files[i];
	if (!f)
		return err_set(err, -ENOENT, "open file %u", object);
	fd = (int)syscall(SYS_pidfd_getfd, c->tasks[f->task].view.pidfd, f->fd,
			  0);
	if (fd < 0)
		return err_sys(err, "fd %d of process %d", f->fd,
			       c->tasks[f->task].view.ns_pid);
	*ret_fd = fd;
	return 0;
}

pid_t collection_ns_pid(const struct collection *c, pid_t pid)
{
	struct collected_id key = { .tid = pid };
	const struct collected_id *id;

	id = bsearch(&key, c->ids, c->nids, sizeof(key), compare_ids);
	return id ? id->ns_tid : 0;
}

pid_t collection_file_pid(const struct collection *c,
			  const struct collected_file *f)
{
	return f->travels ? getpid() : c->tasks[f->task].view.pid;
}

/* Each socket has an inode of its own, and one description. */
uint32_t collection_socket(const struct collection *c, dev_t dev,
			   uint64_t inode)
{
	for (size_t i = 0; i < c->nfiles; i++)
		if (c->files[i].ino == inode && c->files[i].dev == dev &&
		    c->files[i].fd >= 0)
			return c->files[i].object;
	return 0;
}

const struct unix_queue *collection_queue(const struct collection *c,
					  uint32_t object,
					  const uint32_t **ret_objects)
{
	for (size_t i = 0; i < c->nqueues; i++) {
		if (c->queues[i].object != object)
			continue;
		*ret_objects = c->queues[i].objects;
		return &c->queues[i].queue;
	}
	return NULL;
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

static int open_mapping(const struct collected_task *t, const struct vma *v,
			struct err *err)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "map_files/%llx-%llx",
		       (unsigned long long)v->start,
		       (unsigned long long)v->end);
	fd = openat(t->view.proc_fd, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

static bool is_segment(const struct collection *c, const struct vma *v)
{
	const char *why, *remedy;

	return mapping_classify(v, &c->devices, &why, &remedy) == MAPPING_SYSV;
}

int collection_segment(const struct collection *c, int id, uint64_t *ret_count,
		       int *ret_fd, struct err *err)
{
	uint32_t object = 0;
	uint64_t count = 0;
	int fd = -1;

	if (id >= 0)
		object = object_find(c->objects, OBJECT_SYSV_SHM, (uint64_t)id,
				     0, 0);
	for (size_t i = 0; (object || id < 0) && i < c->ntasks; i++) {
		const struct collected_task *t = &c->tasks[i];

		for (size_t n = 0; n < t->vmas.count; n++) {
			if (id < 0 ? !is_segment(c, &t->vmas.v[n])
				   : t->vma_object[n] != object)
				continue;
			if (ret_fd && fd < 0)
				fd = open_mapping(t, &t->vmas.v[n], err);
			if (ret_fd && fd < 0)
				return fd;
			count++;
		}
	}
	if (ret_fd)
		*ret_fd = fd;
	*ret_count = count;
	return 0;
}

int collection_epoll_target(const struct collection *c,
			    const struct task_view *task, int epfd, int tfd,
			    uint32_t nth, uint32_t *ret_object, struct err *err)
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
		r = kcmp_epoll(collection_file_pid(c, f), f->fd, task->pid,
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
		       "has open (registered as %d)",
		       epfd, tfd);
}
