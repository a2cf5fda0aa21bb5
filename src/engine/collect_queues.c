// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What waits in Unix sockets, and the open files that travel there: some are
 * held by no process.  One of these may be a socket, in which others travel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/collect.h"
#include "kernel/kcmp.h"
#include "util/cleanup.h"
#include "util/io.h"

#define FDINFO_MAX (1u << 20)

static int socket_option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

static int same_file(const struct collection *c, const struct collected_file *f,
		     int own_fd, bool *ret, struct err *err)
{
	int order, r;

	r = kcmp_files(collection_file_pid(c, f), f->fd, getpid(), own_fd,
		       &order, err);
	*ret = r == 0 && order == 0;
	return r;
}

static int find_known(const struct collection *c, int own_fd,
		      const struct stat *st, uint32_t *ret, struct err *err)
{
	bool same = false;
	int r = 0;

	for (size_t i = 0; r == 0 && !same && i < c->nfiles; i++) {
		const struct collected_file *f = &c->files[i];

		if (f->fd < 0 || f->ino != st->st_ino || f->dev != st->st_dev)
			continue;
		r = same_file(c, f, own_fd, &same, err);
		if (same)
			*ret = f->object;
	}
	return r;
}

static int read_own(struct collected_file *f, struct err *err)
{
	uint64_t flags = 0, position = 0;
	char name[48];
	size_t len;
	int r;

	(void)snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", f->fd);
	r = read_file_at(AT_FDCWD, name, FDINFO_MAX, &f->fdinfo, &len, err);
	if (r == 0)
		r = proc_text_u64(f->fdinfo, "flags", 8, &flags, err);
	if (r == 0)
		r = proc_text_u64(f->fdinfo, "pos", 10, &position, err);
	f->flags = (uint32_t)flags & ~(uint32_t)O_CLOEXEC;
	f->position = (int64_t)position;
	return r;
}

static int add_travelling(struct collection *c, uint32_t task, int own_fd,
			  const struct stat *st, uint32_t *ret, struct err *err)
{
	struct collected_file file = {
		.task = task,
		.fd = own_fd,
		.travels = true,
		.dev = st->st_dev,
		.ino = st->st_ino,
	};
	int r;

	r = object_get(c->objects, OBJECT_OPEN_FILE, c->nfiles, 0, 0,
		       &file.object, NULL, err);
	if (r == 0)
		r = read_own(&file, err);
	if (r == 0)
		r = collection_add_file(c, &file, err);
	if (r < 0)
		free(file.fdinfo);
	*ret = file.object;
	return r;
}

static int number(struct collection *c, uint32_t task, int own_fd,
		  uint32_t *ret, struct err *err)
{
	struct stat st;
	int r;

	*ret = 0;
	if (fstat(own_fd, &st) < 0)
		return err_sys(err, "stat");
	r = find_known(c, own_fd, &st, ret, err);
	return r < 0 || *ret ? r
			     : add_travelling(c, task, own_fd, &st, ret, err);
}

/* q is in the collection, and so are the descriptors that it has. */
static int number_all(struct collection *c, uint32_t task,
		      struct collected_queue *q, struct err *err)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < q->queue.count; i++)
		n += q->queue.list[i].nfds;
	q->objects = calloc(n + 1, sizeof(*q->objects));
	if (!q->objects)
		return err_num(err, ENOMEM, "open files on their way");
	n = 0;
	for (size_t i = 0; i < q->queue.count; i++)
		for (size_t k = 0; r == 0 && k < q->queue.list[i].nfds; k++)
			r = number(c, task, q->queue.list[i].fds[k],
				   &q->objects[n++], err);
	return r;
}

static int own_copy(const struct collection *c, const struct collected_file *f,
		    struct err *err)
{
	int fd = f->travels
			 ? fcntl(f->fd, F_DUPFD_CLOEXEC, 3)
			 : (int)syscall(SYS_pidfd_getfd,
					c->tasks[f->task].view.pidfd, f->fd, 0);

	return fd < 0 ? err_sys(err, "fd %d", f->fd) : fd;
}

static int collect_queue(struct collection *c, size_t file,
			 struct unix_reader *reader, struct err *err)
{
	const uint32_t task = c->files[file].task;
	auto_close int fd = own_copy(c, &c->files[file], err);
	struct collected_queue *more;
	int r;

	if (fd < 0)
		return fd;
	if (socket_option(fd, SO_DOMAIN) != AF_UNIX ||
	    socket_option(fd, SO_ACCEPTCONN) != 0)
		return 0;
	more = reallocarray(c->queues, c->nqueues + 1, sizeof(*more));
	if (!more)
		return err_num(err, ENOMEM, "sockets");
	c->queues = more;
	more = &more[c->nqueues++];
	*more = (struct collected_queue){ .object = c->files[file].object };
	r = unix_queue_read(reader, fd, socket_option(fd, SO_TYPE),
			    &more->queue, err);
	return r < 0 ? r : number_all(c, task, more, err);
}

static bool is_socket(const struct collection *c,
		      const struct collected_file *f)
{
	char name[64];
	struct stat st;

	if (f->travels)
		return fstat(f->fd, &st) == 0 && S_ISSOCK(st.st_mode);
	(void)snprintf(name, sizeof(name), "fd/%d", f->fd);
	/* A socket in a file system is one that cannot be read (O_PATH). */
	return !(f->flags & O_PATH) &&
	       fstatat(c->tasks[f->task].view.proc_fd, name, &st, 0) == 0 &&
	       S_ISSOCK(st.st_mode);
}

static int collect_each(struct collection *c, struct unix_reader *reader,
			struct err *err)
{
	int r = 0;

	/* The list grows. */
	for (size_t i = 0; r == 0 && i < c->nfiles; i++) {
		if (!is_socket(c, &c->files[i]))
			continue;
		r = collect_queue(c, i, reader, err);
		if (r < 0)
			return err_wrap(err, r, "process %d: fd %d: socket",
					c->tasks[c->files[i].task].view.ns_pid,
					c->files[i].fd);
	}
	return r;
}

int collect_queues(struct collection *c, struct err *err)
{
	struct unix_reader *reader = NULL;
	int r;

	/* A tree that runs reads them itself. */
	if (!c->frozen)
		return 0;
	r = unix_reader_new(&reader, err);
	if (r == 0)
		r = collect_each(c, reader, err);
	unix_reader_free(reader);
	return r;
}

const struct unix_table *collection_sockets(struct collection *c,
					    struct err *err)
{
	if (!c->have_sockets && unix_table_read(&c->sockets, err) < 0)
		return NULL;
	c->have_sockets = true;
	return &c->sockets;
}
