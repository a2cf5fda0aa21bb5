/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/building.h"
#include "images/files.pb-c.h"
#include "images/tags.h"
#include "images/unix.pb-c.h"
#include "util/cleanup.h"

typedef int (*restore_fn)(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err);

/* Directories of the job's own are filled, then what others are opened from. */
enum turn { TURN_PRIVATE, TURN_OBJECTS, TURN_OTHERS, TURNS };

static enum turn turn_of(uint32_t tag)
{
	switch (tag) {
	case TAG_PRIVATE_DIR:
	case TAG_PRIVATE_ENTRY:
		return TURN_PRIVATE;
	case TAG_DIRECTORY:
	case TAG_GHOST:
	case TAG_SHMEM:
	case TAG_PIPE:
	case TAG_DEAD_PROCESS:
	case TAG_MQUEUE:
	case TAG_TCP_CONNECTION:
		return TURN_OBJECTS;
	default:
		return TURN_OTHERS;
	}
}

/* terminal.c opens them. */
static bool is_terminal(uint32_t tag)
{
	return tag == TAG_TTY || tag == TAG_PTY || tag == TAG_PTY_MASTER;
}

static int wrap_file(const struct meta_entry *e, const struct resource_ops *ops,
		     int r, struct err *err)
{
	int32_t pid = plan_number(e->msg, "pid");

	return pid ? err_wrap(err, r, "pid %d: %s", pid, ops->name)
		   : err_wrap(err, r, "%s", ops->name);
}

static int open_files(struct building *b, enum turn turn, struct err *err)
{
	const struct meta *meta = b->plan->meta;
	const struct resource_ops *ops;
	int r;

	for (size_t i = 0; i < meta->count; i++) {
		ops = resource_by_tag(meta->entries[i].tag);
		if (!ops || !ops->restore_file ||
		    is_terminal(meta->entries[i].tag) ||
		    turn_of(meta->entries[i].tag) != turn)
			continue;
		r = ops->restore_file(&b->ctx, meta->entries[i].msg, err);
		if (r < 0)
			return wrap_file(&meta->entries[i], ops, r, err);
	}
	return 0;
}

void building_undo(struct building *b)
{
	const struct meta *meta = b->plan->meta;

	/* Backwards: a directory is empty when what was made in it is gone. */
	for (size_t i = meta->count; b->fds && i-- > 0;) {
		const struct meta_entry *e = &meta->entries[i];
		const struct resource_ops *ops = resource_by_tag(e->tag);

		if (ops && ops->undo_file)
			ops->undo_file(&b->ctx, e->msg);
	}
}

/* The record of the open file behind a slot; NULL: its kind has no say. */
static const struct plan_record *late_record(const struct building *b,
					     uint32_t object,
					     const struct resource_ops **ret)
{
	const struct plan_record *rec;
	size_t count;

	for (size_t i = 0; resource_table[i]; i++) {
		if (!resource_table[i]->late_file)
			continue;
		rec = plan_find(b->plan, resource_table[i]->tag, object,
				&count);
		if (count) {
			*ret = resource_table[i];
			return rec;
		}
	}
	return NULL;
}

static int order_objects(const void *a, const void *b)
{
	const FdRecord *x = *(const FdRecord *const *)a;
	const FdRecord *y = *(const FdRecord *const *)b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

/* Once for each open file of a task, under its lowest number. */
static int late_file(struct building *b, struct puppet *p, const FdRecord *fd,
		     struct err *err)
{
	const struct resource_ops *ops;
	const struct plan_record *rec = late_record(b, fd->object, &ops);
	int r;

	if (!rec)
		return 0;
	r = puppet_enter(p, &p->task.threads[0], err);
	if (r == 0)
		r = ops->late_file(&b->ctx, &p->task, (int)fd->fd, rec->msg,
				   err);
	return r < 0 ? err_wrap(err, r, "pid %d: fd %u: %s", p->task.ns_pid,
				fd->fd, ops->name)
		     : 0;
}

static int late_files(struct building *b, struct puppet *p, struct err *err)
{
	const struct plan_record *slots;
	auto_free const FdRecord **fds = NULL;
	size_t count;
	int r = 0;

	slots = plan_find(b->plan, TAG_FD, (uint32_t)p->task.ns_pid, &count);
	fds = calloc(count + 1, sizeof(*fds));
	if (!fds)
		return err_num(err, ENOMEM, "pid %d: %zu descriptors",
			       p->task.ns_pid, count);
	for (size_t i = 0; i < count; i++)
		fds[i] = (const FdRecord *)slots[i].msg;
	qsort(fds, count, sizeof(*fds), order_objects);
	for (size_t i = 0; i < count && r == 0; i++)
		if (i == 0 || fds[i]->object != fds[i - 1]->object)
			r = late_file(b, p, fds[i], err);
	return r;
}

static int order_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Objects that some process has under a number; ascending. */
static uint32_t *held_objects(const struct building *b, size_t *ret_count,
			      struct err *err)
{
	const struct plan_record *recs = plan_kind(b->plan, TAG_FD, ret_count);
	uint32_t *list = calloc(*ret_count + 1, sizeof(*list));

	if (!list) {
		(void)err_num(err, ENOMEM, "%zu descriptors", *ret_count);
		return NULL;
	}
	for (size_t i = 0; i < *ret_count; i++)
		list[i] = ((const FdRecord *)recs[i].msg)->object;
	qsort(list, *ret_count, sizeof(*list), order_numbers);
	return list;
}

/* As if the first process had it for a moment. */
static int late_traveller(struct building *b, uint32_t object, struct err *err)
{
	struct puppet *p = b->puppets;
	FdRecord fd = FD_RECORD__INIT;
	int r, number;

	while (p->task.zombie)
		p++;
	r = lend_fd(b, p, object, &number, err);
	if (r < 0)
		return r;
	fd.object = object;
	fd.fd = (uint32_t)number;
	return late_file(b, p, &fd, err);
}

/* What travels in messages and is held by no process. */
static int late_travellers(struct building *b, struct err *err)
{
	const struct plan_record *recs;
	auto_free uint32_t *held = NULL;
	size_t count, nheld;
	int r = 0;

	recs = plan_kind(b->plan, TAG_UNIX_MESSAGE, &count);
	if (!count)
		return 0;
	held = held_objects(b, &nheld, err);
	if (!held)
		return err->code;
	for (size_t i = 0; i < count && r == 0; i++) {
		const UnixMessageRecord *m =
			(const UnixMessageRecord *)recs[i].msg;

		for (size_t k = 0; k < m->n_objects && r == 0; k++)
			if (!bsearch(&m->objects[k], held, nheld, sizeof(*held),
				     order_numbers))
				r = late_traveller(b, m->objects[k], err);
	}
	return r;
}

static int call_restore(struct building *b, const struct meta_entry *e,
			const struct resource_ops *ops, restore_fn restore,
			struct err *err)
{
	const struct plan_thread *where;
	struct restore_thread *thread;
	int32_t pid = plan_number(e->msg, "pid");
	int32_t tid = plan_number(e->msg, "tid");
	struct puppet *p;
	int r;

	where = plan_thread(b->plan, tid ? tid : pid);
	if (!where)
		return err_set(err, -EBADMSG, "%s of nobody", ops->name);
	p = &b->puppets[where->task];
	thread = &p->task.threads[where->thread];
	r = puppet_enter(p, thread, err);
	if (r == 0)
		r = restore(&b->ctx, &p->task, tid ? thread : NULL, e->msg,
			    err);
	return r < 0 ? err_wrap(err, r, "pid %d: %s", tid ? tid : pid,
				ops->name)
		     : 0;
}

static int one_record(struct building *b, const struct meta_entry *e,
		      enum restore_stage stage, struct err *err)
{
	const struct resource_ops *ops = resource_by_tag(e->tag);
	int r = 0;

	if (!ops)
		return 0;
	if (ops->scope == SCOPE_FILE || ops->scope == SCOPE_TREE) {
		if (ops->stage2 != stage || !ops->restore2)
			return 0;
		r = ops->restore2(&b->ctx, NULL, NULL, e->msg, err);
		return r < 0 ? wrap_file(e, ops, r, err) : 0;
	}
	if (ops->stage == stage && ops->restore)
		r = call_restore(b, e, ops, ops->restore, err);
	if (r == 0 && ops->stage2 == stage && ops->restore2)
		r = call_restore(b, e, ops, ops->restore2, err);
	return r;
}

int build_stage(struct building *b, enum restore_stage stage, struct err *err)
{
	const struct meta *meta = b->plan->meta;
	int r = 0;

	if (stage == STAGE_OPEN) {
		for (int turn = TURN_PRIVATE; r == 0 && turn < TURNS; turn++)
			r = open_files(b, (enum turn)turn, err);
		return r;
	}
	for (size_t i = 0; stage == STAGE_LATE && i < b->plan->ntasks; i++) {
		if (!b->puppets[i].task.zombie)
			r = late_files(b, &b->puppets[i], err);
		if (r < 0)
			return r;
	}
	if (stage == STAGE_LATE)
		r = late_travellers(b, err);
	for (size_t i = 0; i < meta->count && r == 0; i++)
		r = one_record(b, &meta->entries[i], stage, err);
	/* What a stage does is done at its end. */
	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++) {
		struct puppet *p = &b->puppets[i];

		r = lend_back(p, err);
		if (r == 0 && p->inside)
			r = remote_flush(p->task.remote, err);
		if (r < 0)
			return err_wrap(err, r, "pid %d", p->task.ns_pid);
	}
	return r;
}
