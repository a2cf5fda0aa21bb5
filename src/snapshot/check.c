/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "images/files.pb-c.h"
#include "images/ipc.pb-c.h"
#include "images/limits.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "snapshot/cow.h"
#include "snapshot/extents.h"
#include "snapshot/huge.h"
#include "snapshot/output.h"
#include "snapshot/snapshot.h"
#include "util/cleanup.h"

/*
 * What records say about each other.  Fields are found by their names (pid,
 * tid, open), so that a new kind of record is checked without a line here.
 */

#define ADDRESS_MAX (1ull << 56)

/* What can be referred to; each kind is a sorted array of numbers. */
enum id_kind {
	ID_TASK,
	ID_THREAD,
	ID_OPEN,  /* open file descriptions */
	ID_DATA,  /* what can own pages: ghosts and shared memory */
	ID_SHMEM, /* the latter alone: what is opened again without asking */
	ID_PIPE,
	ID_PTY,
	ID_SLOT, /* pid and descriptor number */
	ID_ONCE, /* tag and pid or tid, of records that come once */
	ID_KINDS,
};

static const char *const id_names[ID_KINDS] = {
	"pid",           "tid",  "open file",       "object",
	"shared memory", "pipe", "pseudo terminal", "descriptor",
	"record of",
};

struct ids {
	uint64_t *numbers;
	size_t count, room;
};

struct index {
	struct ids ids[ID_KINDS];
};

static int add(struct index *x, enum id_kind kind, uint64_t number,
	       struct err *err)
{
	struct ids *s = &x->ids[kind];

	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		uint64_t *more = reallocarray(s->numbers, room, sizeof(*more));

		if (!more)
			return err_num(err, ENOMEM, "%s", id_names[kind]);
		s->numbers = more;
		s->room = room;
	}
	s->numbers[s->count++] = number;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool has(const struct index *x, enum id_kind kind, uint64_t number)
{
	const struct ids *s = &x->ids[kind];

	return s->count &&
	       bsearch(&number, s->numbers, s->count, sizeof(number), by_value);
}

static int sort_all(struct index *x, struct err *err)
{
	unsigned int kind;
	size_t i;

	for (kind = 0; kind < ID_KINDS; kind++) {
		struct ids *s = &x->ids[kind];

		if (!s->count)
			continue;
		qsort(s->numbers, s->count, sizeof(*s->numbers), by_value);
		for (i = 1; i < s->count; i++)
			if (s->numbers[i - 1] == s->numbers[i])
				return err_set(err, -EBADMSG,
					       "%s %" PRIu32 " is there twice",
					       id_names[kind],
					       (uint32_t)s->numbers[i]);
	}
	return 0;
}

/* The field of that name, or NULL. */
static const void *field(const ProtobufCMessage *msg, const char *name)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(msg->descriptor,
								name);

	return f ? (const uint8_t *)msg + f->offset : NULL;
}

static int32_t field_id(const ProtobufCMessage *msg, const char *name)
{
	const int32_t *at = field(msg, name);

	return at ? *at : 0;
}

/* Of these there is at most one for each process or thread. */
static bool comes_once(uint32_t tag)
{
	switch (tag) {
	case TAG_SIGACTION:
	case TAG_TIMER:
	case TAG_PROCESS:
	case TAG_RLIMIT:
	case TAG_FS:
	case TAG_MM:
	case TAG_REGS:
	case TAG_THREAD:
	case TAG_SCHED:
	case TAG_CREDS:
	case TAG_SECCOMP:
		return true;
	}
	return false;
}

static int name_task(struct index *x, const TaskRecord *t, struct err *err)
{
	size_t i;
	int r;

	if (t->pid <= 0 || t->n_tids > TASK_MAX_THREADS)
		return err_set(err, -EBADMSG, "pid %d, %zu threads", t->pid,
			       t->n_tids);
	if (t->n_tids && t->tids[0] != t->pid)
		return err_set(err, -EBADMSG, "pid %d: its leader is not first",
			       t->pid);
	r = add(x, ID_TASK, (uint64_t)t->pid, err);
	for (i = 0; i < t->n_tids && r == 0; i++)
		r = t->tids[i] > 0
			    ? add(x, ID_THREAD, (uint64_t)t->tids[i], err)
			    : err_set(err, -EBADMSG, "tid %d", t->tids[i]);
	return r;
}

static int name_open_file(struct index *x, const ProtobufCMessage *msg,
			  struct err *err)
{
	const OpenFile *const *open = field(msg, "open");

	if (!open || !*open)
		return 0;
	if (!(*open)->object)
		return err_set(err, -EBADMSG, "an open file without a number");
	return add(x, ID_OPEN, (*open)->object, err);
}

static int name_shmem(struct index *x, const ShmemRecord *rec, struct err *err)
{
	int r = add(x, ID_DATA, rec->object, err);

	return r < 0 ? r : add(x, ID_SHMEM, rec->object, err);
}

static int name_record(struct index *x, const struct meta_entry *e,
		       struct err *err)
{
	const FdRecord *fd = (const FdRecord *)e->msg;
	int32_t tid = field_id(e->msg, "tid");
	int32_t id = tid ? tid : field_id(e->msg, "pid");
	int r = 0;

	if (comes_once(e->tag))
		r = add(x, ID_ONCE, (uint64_t)e->tag << 32 | (uint32_t)id, err);
	if (r < 0)
		return r;
	switch (e->tag) {
	case TAG_TASK:
		return name_task(x, (const TaskRecord *)e->msg, err);
	case TAG_FD:
		return add(x, ID_SLOT,
			   (uint64_t)(uint32_t)fd->pid << 32 | fd->fd, err);
	case TAG_GHOST:
		return add(x, ID_DATA, ((const GhostRecord *)e->msg)->object,
			   err);
	case TAG_SHMEM:
		return name_shmem(x, (const ShmemRecord *)e->msg, err);
	case TAG_PIPE:
		return add(x, ID_PIPE, ((const PipeRecord *)e->msg)->pipe, err);
	case TAG_PTY:
		return add(x, ID_PTY, ((const PtyRecord *)e->msg)->pty, err);
	}
	return name_open_file(x, e->msg, err);
}

static int need(const struct index *x, enum id_kind kind, uint64_t number,
		struct err *err)
{
	if (has(x, kind, number))
		return 0;
	return err_set(err, -EBADMSG, "there is no %s %" PRIu64, id_names[kind],
		       number);
}

static int check_vma(const struct index *x, const VmaRecord *v, struct err *err)
{
	int r;

	if (v->start >= v->end || v->end > ADDRESS_MAX ||
	    v->start % IMAGE_PAGE || v->end % IMAGE_PAGE)
		return err_set(err, -EBADMSG,
			       "pid %d: mapping 0x%" PRIx64 "-0x%" PRIx64,
			       v->pid, v->start, v->end);
	r = huge_check(&v->base, err);
	if (r < 0)
		return r;
	switch (v->kind) {
	case VMA_RECORD__KIND__FILE_PRIVATE:
	case VMA_RECORD__KIND__FILE_SHARED:
		return need(x, ID_OPEN, v->object, err);
	case VMA_RECORD__KIND__SHMEM_SHARED:
	case VMA_RECORD__KIND__SHMEM_PRIVATE:
		return need(x, ID_SHMEM, v->object, err);
	default:
		return 0;
	}
}

static int check_epoll(const struct index *x, const EpollRecord *e,
		       struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; i < e->n_entries && r == 0; i++)
		r = need(x, ID_OPEN, e->entries[i]->object, err);
	return r;
}

static int check_pages(const struct index *x, const PagesRecord *p,
		       struct err *err)
{
	if (!p->pid == !p->object)
		return err_set(err, -EBADMSG,
			       "pid %d, object %u: pages have one owner",
			       p->pid, p->object);
	return p->object ? need(x, ID_DATA, p->object, err) : 0;
}

/* What the step gave the job has no pipe here: the next step gives another. */
static int check_pipe_end(const struct index *x, const PipeEndRecord *end,
			  struct err *err)
{
	if (!end->external)
		return need(x, ID_PIPE, end->pipe, err);
	if (end->pipe || end->stdio > 2)
		return err_set(err, -EBADMSG,
			       "pipe %u, standard descriptor %u of a step",
			       end->pipe, end->stdio);
	return 0;
}

static int check_tty(const struct index *x, const TtyRecord *tty,
		     struct err *err)
{
	return tty->has_pty ? need(x, ID_PTY, tty->pty, err) : 0;
}

static int check_file(const struct index *x, const FileRecord *f,
		      struct err *err)
{
	int r = f->has_ghost ? need(x, ID_DATA, f->ghost, err) : 0;
	size_t i;

	for (i = 0; i < f->n_locks && r == 0; i++)
		if (f->locks[i]->has_pid)
			r = need(x, ID_TASK, (uint64_t)f->locks[i]->pid, err);
	return r;
}

static int check_objects(const struct index *x, const struct meta_entry *e,
			 struct err *err)
{
	switch (e->tag) {
	case TAG_FD:
		return need(x, ID_OPEN, ((const FdRecord *)e->msg)->object,
			    err);
	case TAG_OUTPUT:
		return output_check((const OutputRecord *)e->msg, err);
	case TAG_FILE:
		return check_file(x, (const FileRecord *)e->msg, err);
	case TAG_PIPE_END:
		return check_pipe_end(x, (const PipeEndRecord *)e->msg, err);
	case TAG_TTY:
		return check_tty(x, (const TtyRecord *)e->msg, err);
	case TAG_PTY_MASTER:
		return need(x, ID_PTY, ((const PtyMasterRecord *)e->msg)->pty,
			    err);
	case TAG_MEMFD:
		return need(x, ID_SHMEM, ((const MemfdRecord *)e->msg)->shmem,
			    err);
	case TAG_MM:
		return need(x, ID_OPEN, ((const MmRecord *)e->msg)->exe_object,
			    err);
	case TAG_SYSV_SHM:
		return need(x, ID_SHMEM,
			    ((const SysvShmRecord *)e->msg)->object, err);
	case TAG_SHMEM:
	case TAG_GHOST:
		return huge_check(e->msg, err);
	case TAG_VMA:
		return check_vma(x, (const VmaRecord *)e->msg, err);
	case TAG_EPOLL:
		return check_epoll(x, (const EpollRecord *)e->msg, err);
	case TAG_PAGES:
		return check_pages(x, (const PagesRecord *)e->msg, err);
	case TAG_COW:
		return need(
			x, ID_TASK,
			(uint64_t)(uint32_t)((const CowRecord *)e->msg)->from,
			err);
	}
	return 0;
}

static int check_record(const struct index *x, const struct meta_entry *e,
			struct err *err)
{
	int32_t pid = field_id(e->msg, "pid"), tid = field_id(e->msg, "tid");
	int r = 0;

	/* Only pages of an object have no pid. */
	if (field(e->msg, "pid") && (pid || e->tag != TAG_PAGES))
		r = need(x, ID_TASK, (uint64_t)pid, err);
	if (r == 0 && field(e->msg, "tid"))
		r = need(x, ID_THREAD, (uint64_t)tid, err);
	return r < 0 ? r : check_objects(x, e, err);
}

/* Pid and place of every task, sorted by pid. */
static int list_tasks(const struct meta *meta, uint64_t *ret, size_t *ret_count,
		      struct err *err)
{
	size_t i, n = 0;

	for (i = 0; i < meta->count; i++) {
		const TaskRecord *t = (const TaskRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag == TAG_TASK)
			ret[n++] = (uint64_t)(uint32_t)t->pid << 32 | i;
	}
	if (n > TREE_MAX_TASKS)
		return err_set(err, -EBADMSG, "more than %u tasks",
			       TREE_MAX_TASKS);
	if (n)
		qsort(ret, n, sizeof(*ret), by_value);
	*ret_count = n;
	return 0;
}

static int by_pid(const void *key, const void *element)
{
	uint32_t pid = *(const uint32_t *)key;
	uint32_t other = (uint32_t)(*(const uint64_t *)element >> 32);

	return pid < other ? -1 : pid > other;
}

/* Tasks come after their parents, so there is no ring of parents either. */
static int check_parents(const struct meta *meta, struct err *err)
{
	auto_free uint64_t *tasks = calloc(meta->count, sizeof(*tasks));
	size_t i, count = 0;
	int r;

	if (!tasks)
		return err_num(err, ENOMEM, "tasks");
	r = list_tasks(meta, tasks, &count, err);
	for (i = 0; i < meta->count && r == 0; i++) {
		const TaskRecord *t = (const TaskRecord *)meta->entries[i].msg;
		const uint64_t *parent;
		uint32_t ppid;

		if (meta->entries[i].tag != TAG_TASK || t->ppid == 0 ||
		    t->ppid == 1)
			continue;
		ppid = (uint32_t)t->ppid;
		parent = bsearch(&ppid, tasks, count, sizeof(*tasks), by_pid);
		if (!parent || (uint32_t)*parent >= i)
			r = err_set(err, -EBADMSG,
				    "pid %d: its parent %d is not before it",
				    t->pid, t->ppid);
	}
	return r;
}

static int check_ids(const struct meta *meta, struct err *err)
{
	struct index x = { 0 };
	unsigned int kind;
	size_t i;
	int r = 0;

	for (i = 0; i < meta->count && r == 0; i++)
		r = name_record(&x, &meta->entries[i], err);
	if (r == 0)
		r = sort_all(&x, err);
	for (i = 0; i < meta->count && r == 0; i++) {
		r = check_record(&x, &meta->entries[i], err);
		if (r < 0)
			err_wrap(err, r, "record %zu (%s)", i,
				 img_tag_name(meta->entries[i].tag));
	}
	for (kind = 0; kind < ID_KINDS; kind++)
		free(x.ids[kind].numbers);
	return r < 0 ? r : check_parents(meta, err);
}

static int check_frame(const PartEntry *part, const struct meta *meta,
		       struct err *err)
{
	const PartRecord *first;
	size_t i;

	if (meta->count < 2 || meta->entries[0].tag != TAG_PART ||
	    meta->entries[meta->count - 1].tag != TAG_PART_END)
		return err_set(err, -EBADMSG,
			       "not from a part's record to its end");
	first = (const PartRecord *)meta->entries[0].msg;
	if (strcmp(first->node, part->node) != 0)
		return err_set(err, -EBADMSG,
			       "it is of node %.64s, not of %.64s", first->node,
			       part->node);
	if (first->page_size != IMAGE_PAGE)
		return err_set(err, -ENOTSUP, "pages of %u bytes",
			       first->page_size);
	for (i = 1; i < meta->count - 1; i++)
		switch (meta->entries[i].tag) {
		case TAG_MANIFEST:
		case TAG_SEAL:
		case TAG_PART:
		case TAG_PART_END:
			return err_set(err, -EBADMSG,
				       "record %zu (%s) is out of place", i,
				       img_tag_name(meta->entries[i].tag));
		}
	return 0;
}

static int check_extents(const PartEntry *part, const struct meta *meta,
			 struct err *err)
{
	const PartEndRecord *end =
		(const PartEndRecord *)meta->entries[meta->count - 1].msg;
	struct blocks blocks = { .part = part };
	struct extent_list list = { 0 };
	uint64_t bytes = 0;
	size_t i;
	int r = blocks_collect(meta, &blocks, err);

	if (r == 0)
		r = extents_collect(meta, &list, err);
	for (i = 0; i < list.count; i++)
		bytes += list.refs[i].end - list.refs[i].start;
	if (r == 0)
		r = extents_check(&blocks, meta, &list, err);
	if (r == 0)
		r = cow_check(meta, &list, err);
	if (r == 0 &&
	    (end->extents != list.extents || end->page_bytes != bytes))
		r = err_set(err, -EBADMSG,
			    "%zu extents of %" PRIu64 " bytes, its end says "
			    "%u of %" PRIu64,
			    list.extents, bytes, end->extents, end->page_bytes);
	free(list.refs);
	blocks_done(&blocks);
	return r;
}

int snapshot_check_meta(const PartEntry *part, const struct meta *meta,
			struct err *err)
{
	int r = check_frame(part, meta, err);

	if (r == 0)
		r = check_ids(meta, err);
	if (r == 0)
		r = check_extents(part, meta, err);
	return r < 0 ? err_wrap(err, r, "%s", part->streams[0]->name) : 0;
}
