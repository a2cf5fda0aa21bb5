// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors, and which of them are the same open file description: sorted
 * by what is cheap to compare, then by the order that kcmp gives.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/collect.h"
#include "kernel/kcmp.h"
#include "util/cleanup.h"
#include "util/io.h"

#define FDINFO_MAX (64u << 20) /* an epoll with very many entries */

static int read_slot(const struct collected_task *t, struct collected_slot *s,
		     struct err *err)
{
	uint64_t flags = 0, position = 0;
	struct stat st;
	char name[32];
	size_t len;
	int r;

	(void)snprintf(name, sizeof(name), "fdinfo/%d", s->fd);
	r = read_file_at(t->view.proc_fd, name, FDINFO_MAX, &s->fdinfo, &len,
			 err);
	if (r < 0)
		return r;
	r = proc_text_u64(s->fdinfo, "flags", 8, &flags, err);
	if (r == 0)
		r = proc_text_u64(s->fdinfo, "pos", 10, &position, err);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "fd/%d", s->fd);
	r = proc_stat_link(t->view.proc_fd, name, &st, err);
	if (r < 0)
		return r;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->position = (int64_t)position;
	s->cloexec = (flags & O_CLOEXEC) != 0;
	s->flags = (uint32_t)flags & ~(uint32_t)O_CLOEXEC;
	return 0;
}

static int reserve(struct collection *c, size_t *room, size_t more,
		   struct err *err)
{
	struct collected_slot *list;

	if (c->nslots + more <= *room)
		return 0;
	*room = (c->nslots + more) * 2;
	list = realloc(c->slots, *room * sizeof(*list));
	if (!list)
		return err_set(err, -ENOMEM, "descriptors");
	c->slots = list;
	return 0;
}

static int read_task_slots(struct collection *c, uint32_t task, size_t *room,
			   struct err *err)
{
	const struct collected_task *t = &c->tasks[task];
	auto_free int *fds = NULL;
	size_t count = 0;
	int r;

	r = proc_read_fds(t->view.proc_fd, &fds, &count, err);
	if (collection_gone(c, r))
		return 0;
	if (r == 0)
		r = reserve(c, room, count, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		struct collected_slot *s = &c->slots[c->nslots];

		*s = (struct collected_slot){ .task = task, .fd = fds[i] };
		r = read_slot(t, s, err);
		if (collection_gone(c, r)) {
			free(s->fdinfo);
			continue;
		}
		c->nslots++;
		if (r < 0)
			return err_wrap(err, r, "fd %d", fds[i]);
	}
	return 0;
}

struct sorting {
	struct collection *c;
	struct err *err;
	int result;
};

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Total order; 0: the same description. */
static int compare_slots(struct sorting *s, uint32_t ia, uint32_t ib)
{
	const struct collected_slot *a = &s->c->slots[ia];
	const struct collected_slot *b = &s->c->slots[ib];
	int order = 0, r;

	r = compare_u64(a->dev, b->dev);
	if (!r)
		r = compare_u64(a->ino, b->ino);
	if (!r)
		r = compare_u64((uint64_t)a->position, (uint64_t)b->position);
	if (!r)
		r = compare_u64(a->flags, b->flags);
	if (r || ia == ib || s->result < 0)
		return r;
	r = kcmp_files(s->c->tasks[a->task].view.pid, a->fd,
		       s->c->tasks[b->task].view.pid, b->fd, &order, s->err);
	if (collection_gone(s->c, r))
		return compare_u64(ia, ib);
	if (r < 0) {
		s->result = r;
		return 0;
	}
	return order == 0 ? 0 : order == 1 ? -1 : 1;
}

static int compare_indices(const void *a, const void *b, void *arg)
{
	return compare_slots(arg, *(const uint32_t *)a, *(const uint32_t *)b);
}

/* Number classes of equal slots: class_of[slot]. */
static int classify(struct collection *c, uint32_t *class_of, struct err *err)
{
	auto_free uint32_t *order = calloc(c->nslots, sizeof(*order));
	struct sorting sorting = { .c = c, .err = err };
	uint32_t class = 0;

	if (!order)
		return err_set(err, -ENOMEM, "descriptors");
	for (size_t i = 0; i < c->nslots; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, c->nslots, sizeof(*order), compare_indices, &sorting);
	for (size_t i = 0; i < c->nslots; i++) {
		if (i && compare_slots(&sorting, order[i - 1], order[i]) != 0)
			class ++;
		class_of[order[i]] = class;
	}
	return sorting.result;
}

static int add_description(struct collection *c, struct collected_slot *s,
			   struct err *err)
{
	struct collected_file file = {
		.task = s->task,
		.fd = s->fd,
		.dev = s->dev,
		.ino = s->ino,
		.flags = s->flags,
		.position = s->position,
	};
	int r;

	r = object_get(c->objects, OBJECT_OPEN_FILE, c->nfiles, 0, 0,
		       &file.object, NULL, err);
	if (r < 0)
		return r;
	file.fdinfo = take_ptr(s->fdinfo);
	r = collection_add_file(c, &file, err);
	if (r < 0)
		free(file.fdinfo);
	return r;
}

int collect_descriptors(struct collection *c, struct err *err)
{
	auto_free uint32_t *class_of = NULL, *file_of = NULL;
	size_t room = 0;
	int r;

	for (size_t i = 0; i < c->ntasks; i++) {
		if (c->tasks[i].frozen->zombie)
			continue;
		r = read_task_slots(c, (uint32_t)i, &room, err);
		if (r < 0)
			return err_wrap(err, r, "process %d",
					c->tasks[i].view.ns_pid);
	}
	if (!c->nslots)
		return 0;
	class_of = calloc(c->nslots, sizeof(*class_of));
	file_of = calloc(c->nslots, sizeof(*file_of));
	if (!class_of || !file_of)
		return err_set(err, -ENOMEM, "descriptors");
	r = classify(c, class_of, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->nslots; i++) {
		uint32_t *file = &file_of[class_of[i]]; /* plus one */

		if (!*file) {
			r = add_description(c, &c->slots[i], err);
			if (r < 0)
				return r;
			*file = (uint32_t)c->nfiles;
		}
		c->slots[i].file = *file - 1;
		free(take_ptr(c->slots[i].fdinfo));
	}
	return 0;
}
