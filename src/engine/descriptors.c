/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util/cleanup.h"

#define NO_DATA     -2 /* set_data was not called */
#define UNUSED_DATA -1 /* it was, with -1 */

struct entry {
	uint32_t object; /* 0: free */
	int fd, data;
};

/* Open addressing; objects are numbered by the image, so they are hashed. */
struct descriptors {
	struct entry *table;
	size_t room, count; /* room is a power of two */
};

static size_t place(uint32_t object, size_t room)
{
	return (object * 2654435761u) & (room - 1);
}

static struct entry *look(struct entry *table, size_t room, uint32_t object)
{
	size_t i = place(object, room);

	while (table[i].object && table[i].object != object)
		i = (i + 1) & (room - 1);
	return &table[i];
}

static int grow(struct descriptors *d, struct err *err)
{
	size_t room = d->room ? 2 * d->room : 256;
	struct entry *table;

	table = calloc(room, sizeof(*table));
	if (!table)
		return err_num(err, ENOMEM, "%zu open files", d->count);
	for (size_t i = 0; i < d->room; i++)
		if (d->table[i].object)
			*look(table, room, d->table[i].object) = d->table[i];
	free(d->table);
	d->table = table;
	d->room = room;
	return 0;
}

static int entry_of(struct descriptors *d, uint32_t object, struct entry **ret,
		    struct err *err)
{
	struct entry *e;
	int r;

	if (object == 0)
		return err_set(err, -EBADMSG, "an object without a number");
	if (4 * (d->count + 1) > 3 * d->room) {
		r = grow(d, err);
		if (r < 0)
			return r;
	}
	e = look(d->table, d->room, object);
	if (!e->object) {
		*e = (struct entry){ object, -1, NO_DATA };
		d->count++;
	}
	*ret = e;
	return 0;
}

int descriptors_new(struct descriptors **ret, struct err *err)
{
	struct descriptors *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_num(err, ENOMEM, "open files");
	r = grow(d, err);
	if (r < 0) {
		free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void descriptors_close_data(struct descriptors *d)
{
	for (size_t i = 0; i < d->room; i++) {
		if (d->table[i].object && d->table[i].data >= 0) {
			cleanup_close(&d->table[i].data);
			d->table[i].data = UNUSED_DATA;
		}
	}
}

void descriptors_free(struct descriptors *d)
{
	if (!d)
		return;
	descriptors_close_data(d);
	for (size_t i = 0; i < d->room; i++)
		if (d->table[i].object)
			cleanup_close(&d->table[i].fd);
	free(d->table);
	free(d);
}

int descriptors_set(struct descriptors *d, uint32_t object, int fd,
		    struct err *err)
{
	struct entry *e;
	int r;

	r = entry_of(d, object, &e, err);
	if (r < 0)
		return r;
	if (e->fd >= 0)
		return err_set(err, -EBADMSG, "object %u is open already",
			       object);
	e->fd = fd;
	return 0;
}

int descriptors_get(const struct descriptors *d, uint32_t object)
{
	const struct entry *e = look(d->table, d->room, object);

	return object && e->object ? e->fd : -1;
}

void descriptors_drop(struct descriptors *d, uint32_t object)
{
	struct entry *e = look(d->table, d->room, object);

	if (!object || !e->object)
		return;
	cleanup_close(&e->fd);
	e->fd = -1;
}

int descriptors_set_data(struct descriptors *d, uint32_t object, int fd,
			 struct err *err)
{
	struct entry *e;
	int r, own = UNUSED_DATA;

	r = entry_of(d, object, &e, err);
	if (r < 0)
		return r;
	if (e->data != NO_DATA)
		return err_set(err, -EBADMSG, "object %u has its data already",
			       object);
	if (fd >= 0) {
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (own < 0)
			return err_sys(err, "object %u: duplicate", object);
	}
	e->data = own;
	return 0;
}

int descriptors_data(const struct descriptors *d, uint32_t object)
{
	const struct entry *e = look(d->table, d->room, object);

	if (!object || !e->object || e->data == NO_DATA)
		return -ENOENT;
	return e->data == UNUSED_DATA ? -EBADF : e->data;
}
