// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/doors.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

static bool is_door(const struct doors *d, pid_t ns_pid, int fd)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].ns_pid == ns_pid && d->list[i].fd == fd)
			return true;
	return false;
}

static int add_holder(struct doors *d, const struct door *door, struct err *err)
{
	struct door *list;

	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].pid == door->pid && d->list[i].fd == door->fd &&
		    d->list[i].ino == door->ino)
			return 0;
	list = reallocarray(d->list, d->count + 1, sizeof(*list));
	if (!list)
		return err_num(err, ENOMEM, "sockets that listen");
	d->list = list;
	d->list[d->count++] = *door;
	return 0;
}

static int add_holders(struct doors *d, const struct collection *c, size_t file,
		       struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->nslots && r == 0; i++) {
		const struct collected_slot *s = &c->slots[i];
		const struct task_view *task = &c->tasks[s->task].view;
		const struct door door = {
			.pid = task->pid,
			.ns_pid = task->ns_pid,
			.fd = s->fd,
			.ino = c->files[file].ino,
		};

		if (s->file == file)
			r = add_holder(d, &door, err);
	}
	return r;
}

/* Who has something in the way that is none of the doors. */
static int add_clients(struct doors *d, const struct refusals *no,
		       struct err *err)
{
	for (size_t i = 0; i < no->count; i++) {
		const struct refusal *f = &no->list[i];
		pid_t *clients;

		if (f->fd < 0 || is_door(d, f->pid, f->fd) ||
		    doors_has_client(d, f->pid))
			continue;
		clients = reallocarray(d->clients, d->nclients + 1,
				       sizeof(*clients));
		if (!clients)
			return err_num(err, ENOMEM, "clients");
		d->clients = clients;
		d->clients[d->nclients++] = f->pid;
	}
	return 0;
}

int doors_find(struct doors *d, const struct collection *c,
	       const struct refusals *no, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->nfiles && r == 0; i++) {
		auto_close int fd = -EBADF;
		struct err gone;

		if (c->files[i].fd < 0 || c->files[i].travels ||
		    collection_open_object(c, c->files[i].object, &fd, &gone) <
			    0)
			continue;
		if (doors_is_busy(fd))
			r = add_holders(d, c, i, err);
	}
	return r < 0 ? r : add_clients(d, no, err);
}
