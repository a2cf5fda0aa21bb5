// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a process has to do with System V semaphores: which it used last, and
 * what happens to them when it ends (SEM_UNDO).
 *
 * No call tells an adjustment.  But an operation that would take one out of
 * its range fails with ERANGE, and one that would have to wait, and must not,
 * with EAGAIN; either way the kernel takes back all operations of that call,
 * under one lock, so that nobody sees any of it.  So the process itself is
 * made to try operations that lead an adjustment to the end of its range and
 * then have to wait: the answer says which side of a number it is.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/kcmp.h"
#include "resource/ipc_object.h"
#include "util/cleanup.h"

#define VALUE_MAX 32767 /* SEMVMX, SEMAEM */
#define OPS_MAX   500u  /* of one call here */
#define OPS_LEAST 6u
#define OPS_EACH  4u /* for one semaphore, and two to wait */

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static bool in_groups(const struct proc_status *st, gid_t gid)
{
	for (size_t i = 0; i < st->ngroups; i++)
		if ((gid_t)st->groups[i] == gid)
			return true;
	return st->gids[1] == gid;
}

/* As the kernel decides whether a process may change a set. */
static bool may_alter(const struct ipc_perm *p, const struct proc_status *st)
{
	const uid_t uid = st->uids[1];

	if (uid == 0)
		return true;
	if (uid == p->uid || uid == p->cuid)
		return p->mode & 0200;
	if (in_groups(st, p->gid) || in_groups(st, p->cgid))
		return p->mode & 0020;
	return p->mode & 0002;
}

struct checking {
	const struct task_view *task;
	struct refusals *no;
};

static int check_one(const struct dump_ctx *ctx, int id, void *arg,
		     struct err *err)
{
	const struct checking *k = arg;
	const struct task_view *t = k->task;
	const char *why = NULL;
	struct semid_ds ds;
	uint64_t most;
	int r;

	(void)ctx;
	if (semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0)
		return err_sys(err, "semctl");
	if (!ds.sem_otime)
		return 0;
	r = ipc_limit("kernel/sem", 2, &most, err);
	if (r < 0)
		return r;
	if (t->status->seccomp)
		why = "is under a seccomp filter";
	else if (!may_alter(&ds.sem_perm, t->status))
		why = "may not change it now";
	else if (most < OPS_LEAST)
		why = "may make too few operations at once (kernel.sem)";
	if (why)
		refusals_add(k->no, t->ns_pid, t->stat->comm, -1,
			     "remove the set, or use it without SEM_UNDO and "
			     "threads",
			     "it may have used a System V semaphore set (id "
			     "%d) with SEM_UNDO and cannot be asked, as it %s",
			     id, why);
	return 0;
}

static int sysv_undo_check(const struct dump_ctx *ctx,
			   const struct task_view *task, struct refusals *no,
			   struct err *err)
{
	struct checking k = { .task = task, .no = no };
	bool list;
	int r;

	if (!ipc_is_jobs(ctx))
		return 0;
	r = kcmp_has_undos(task->pid, &list, err);
	if (r < 0 || !list)
		return r;
	return ipc_each(ctx, IPC_SEM, check_one, &k, err);
}

/* One list per process is what the image knows. */
static int sysv_undo_check_thread(const struct dump_ctx *ctx,
				  const struct thread_view *thread,
				  struct refusals *no, struct err *err)
{
	const struct task_view *t = thread->task;
	int differs, r;

	if (!ctx->out || thread->tid == t->pid || !ipc_is_jobs(ctx))
		return 0;
	r = kcmp_tasks(t->pid, thread->tid, KCMP_KIND_SYSVSEM, &differs, err);
	if (r == 0 && differs)
		refusals_add(no, t->ns_pid, t->stat->comm, -1,
			     "do not unshare in threads",
			     "thread %d has semaphore undos of its own",
			     thread->ns_tid);
	return r;
}

/* Operations of one call. */
struct operations {
	struct sembuf v[OPS_MAX];
	unsigned int count;
};

static void operate(struct operations *o, unsigned short number, int by,
		    int flags)
{
	o->v[o->count++] = (struct sembuf){
		.sem_num = number,
		.sem_op = (short)by,
		.sem_flg = (short)flags,
	};
}

struct set { /* as it is in the job's namespace */
	int id;
	bool used;
	size_t count;
	unsigned short *values;
	bool *last;    /* used by the task last */
	uint64_t most; /* operations of a call */
};

/*
 * Lead an adjustment towards the end of its range, by `step`: ERANGE, or the
 * call goes on.  Returns the value of the semaphore then.
 */
typedef int (*lead_fn)(struct operations *o, unsigned short number, int value,
		       int step);

/* Beyond VALUE_MAX, by 1 to VALUE_MAX. */
static int lead_up(struct operations *o, unsigned short number, int value,
		   int step)
{
	if (value < VALUE_MAX)
		operate(o, number, VALUE_MAX - value, 0);
	operate(o, number, -step, SEM_UNDO);
	return VALUE_MAX - step;
}

/* Below -VALUE_MAX - 1, by 1 to VALUE_MAX + 1. */
static int lead_down(struct operations *o, unsigned short number, int value,
		     int step)
{
	if (value)
		operate(o, number, -value, 0);
	operate(o, number, 1, SEM_UNDO);
	if (step == 1)
		return 1;
	operate(o, number, -1, 0);
	operate(o, number, step - 1, SEM_UNDO);
	return step - 1;
}

/* For zero, while it is not zero: nothing of the call is done. */
static void wait_in_vain(struct operations *o, unsigned short number, int value)
{
	if (!value)
		operate(o, number, 1, 0);
	operate(o, number, 0, IPC_NOWAIT);
}

/* Is the adjustment of one of these semaphores beyond its range by step? */
static int ask(struct remote *remote, const struct set *s, size_t first,
	       size_t count, lead_fn lead, int step, bool *ret, struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	struct operations o = { .count = 0 };
	int64_t answer;
	int r, value = 0;

	for (size_t i = first; i < first + count; i++)
		value = lead(&o, (unsigned short)i, s->values[i], step);
	wait_in_vain(&o, (unsigned short)(first + count - 1), value);
	r = remote_write(remote, at, o.v, o.count * sizeof(o.v[0]), err);
	if (r == 0)
		r = remote_syscall(
			remote, __NR_semop,
			(uint64_t[6]){ (uint64_t)s->id, at, o.count }, &answer,
			err);
	if (r < 0)
		return r;
	if (answer != -EAGAIN && answer != -ERANGE)
		return err_set(err, -EIO, "an undo cannot be found out (%lld)",
			       (long long)answer);
	*ret = answer == -ERANGE;
	return 0;
}

/* The smallest step that leads beyond the range; limit does. */
static int search(struct remote *remote, const struct set *s, size_t number,
		  lead_fn lead, int limit, int *ret, struct err *err)
{
	int low = 1, high = limit, r;
	bool beyond;

	while (low < high) {
		const int middle = low + (high - low) / 2;

		r = ask(remote, s, number, 1, lead, middle, &beyond, err);
		if (r < 0)
			return r;
		if (beyond)
			high = middle;
		else
			low = middle + 1;
	}
	*ret = low;
	return 0;
}

static int find_adjustment(struct remote *remote, const struct set *s,
			   size_t number, int *ret, struct err *err)
{
	int step = 0, r;
	bool beyond;

	*ret = 0;
	r = ask(remote, s, number, 1, lead_up, VALUE_MAX, &beyond, err);
	if (r == 0 && beyond) {
		r = search(remote, s, number, lead_up, VALUE_MAX, &step, err);
		*ret = VALUE_MAX + 1 - step;
		return r;
	}
	if (r == 0)
		r = ask(remote, s, number, 1, lead_down, VALUE_MAX + 1, &beyond,
			err);
	if (r < 0 || !beyond)
		return r;
	r = search(remote, s, number, lead_down, VALUE_MAX + 1, &step, err);
	*ret = step - (VALUE_MAX + 2);
	return r;
}

/* Most have none: many are asked for in one call. */
static int have_any(struct remote *remote, const struct set *s, size_t first,
		    size_t count, bool *ret, struct err *err)
{
	int r = ask(remote, s, first, count, lead_up, VALUE_MAX, ret, err);

	return r < 0 || *ret ? r
			     : ask(remote, s, first, count, lead_down,
				   VALUE_MAX + 1, ret, err);
}

static int find_adjustments(struct remote *remote, const struct set *s,
			    int *ret, struct err *err)
{
	const uint64_t most = s->most < OPS_MAX ? s->most : OPS_MAX;
	const size_t group = most < 2 * OPS_EACH ? 1 : most / OPS_EACH - 1;
	int r = 0;
	bool any;

	for (size_t at = 0; at < s->count && r == 0; at += group) {
		size_t count = s->count - at < group ? s->count - at : group;

		r = have_any(remote, s, at, count, &any, err);
		for (size_t i = at; i < at + count && any && r == 0; i++)
			r = find_adjustment(remote, s, i, &ret[i], err);
	}
	return r;
}

struct sets {
	const struct task_view *task;
	struct set *v;
	size_t count;
};

static void sets_done(struct sets *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->v[i].values);
		free(s->v[i].last);
	}
	free(s->v);
}

static int read_set(struct set *s, pid_t pid, struct err *err)
{
	struct semid_ds ds;
	int r;

	if (semctl(s->id, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0)
		return err_sys(err, "semctl");
	s->used = ds.sem_otime != 0;
	s->count = ds.sem_nsems;
	s->values = calloc(s->count + 1, sizeof(*s->values));
	s->last = calloc(s->count + 1, sizeof(*s->last));
	if (!s->values || !s->last)
		return err_num(err, ENOMEM, "semaphores");
	if (semctl(s->id, 0, GETALL, (union semun){ .array = s->values }) < 0)
		return err_sys(err, "values");
	r = ipc_limit("kernel/sem", 2, &s->most, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->count; i++)
		s->last[i] = semctl(s->id, (int)i, GETPID) == pid;
	return 0;
}

static int collect_one(const struct dump_ctx *ctx, int id, void *arg,
		       struct err *err)
{
	struct sets *s = arg;
	struct set *more = reallocarray(s->v, s->count + 1, sizeof(*s->v));

	(void)ctx;
	if (!more)
		return err_num(err, ENOMEM, "semaphores");
	s->v = more;
	s->v[s->count++] = (struct set){ .id = id };
	return read_set(&s->v[s->count - 1], s->task->pid, err);
}

static void add_undo(SysvUndoRecord *rec, SysvUndo *room, size_t number,
		     int adjustment)
{
	SysvUndo *u = &room[rec->n_undos];

	sysv_undo__init(u);
	u->number = (uint32_t)number;
	u->adjustment = adjustment;
	rec->undos[rec->n_undos++] = u;
}

static int dump_set(const struct dump_ctx *ctx, const struct task_view *task,
		    const struct set *s, bool list, struct err *err)
{
	SysvUndoRecord rec = SYSV_UNDO_RECORD__INIT;
	auto_free SysvUndo *room = calloc(s->count + 1, sizeof(*room));
	auto_free SysvUndo **undos = calloc(s->count + 1, sizeof(SysvUndo *));
	auto_free uint32_t *last = calloc(s->count + 1, sizeof(*last));
	auto_free int *found = calloc(s->count + 1, sizeof(*found));
	int r = 0;

	if (!room || !undos || !last || !found)
		return err_num(err, ENOMEM, "semaphores");
	if (list && s->used)
		r = find_adjustments(task->remote, s, found, err);
	rec.pid = task->ns_pid;
	rec.id = s->id;
	rec.undos = undos;
	rec.last = last;
	for (size_t i = 0; i < s->count; i++) {
		if (s->last[i])
			last[rec.n_last++] = (uint32_t)i;
		if (found[i])
			add_undo(&rec, room, i, found[i]);
	}
	if (r < 0 || (!rec.n_undos && !rec.n_last))
		return r;
	return img_put(ctx->out, TAG_SYSV_UNDO, &rec.base, err);
}

static int sysv_undo_dump(const struct dump_ctx *ctx,
			  const struct task_view *task, struct err *err)
{
	struct sets sets = { .task = task };
	bool list;
	int r;

	if (!ipc_is_jobs(ctx))
		return 0;
	r = kcmp_has_undos(task->pid, &list, err);
	if (r == 0)
		r = ipc_each(ctx, IPC_SEM, collect_one, &sets, err);
	for (size_t i = 0; i < sets.count && r == 0; i++) {
		r = dump_set(ctx, task, &sets.v[i], list, err);
		if (r < 0)
			err_wrap(err, r, "set %d", sets.v[i].id);
	}
	sets_done(&sets);
	return r;
}

static int check_record(const struct restore_ctx *ctx,
			const SysvUndoRecord *rec, const SysvSemRecord **ret,
			struct err *err)
{
	const SysvSemRecord *set = (const SysvSemRecord *)ctx->engine->find(
		ctx->engine->arg, TAG_SYSV_SEM, (uint32_t)rec->id);
	bool good = set != NULL;

	for (size_t i = 0; good && i < rec->n_undos; i++) {
		const SysvUndo *u = rec->undos[i];

		good = u->number < set->n_values &&
		       u->adjustment >= -VALUE_MAX - 1 &&
		       u->adjustment <= VALUE_MAX;
	}
	for (size_t i = 0; good && i < rec->n_last; i++)
		good = rec->last[i] < set->n_values;
	if (!good)
		return err_set(err, -EBADMSG, "no such semaphores");
	*ret = set;
	return 0;
}

static int operate_remote(struct remote *remote, int id,
			  const struct operations *o, struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	r = remote_write(remote, at, o->v, o->count * sizeof(o->v[0]), err);
	return r < 0 ? r
		     : remote_call(remote, "semop", &value, err, __NR_semop,
				   (uint64_t)id, at, o->count, 0, 0, 0);
}

/*
 * Its value is in the end what it was: as much as was done with SEM_UNDO is
 * taken back without.  A value leaves room for about half of it at a time.
 */
static int make_adjustment(struct remote *remote, int id, const SysvUndo *u,
			   int value, struct err *err)
{
	int left = u->adjustment, r = 0;

	while (left && r == 0) {
		const unsigned short number = (unsigned short)u->number;
		struct operations o = { .count = 0 };
		const int up = VALUE_MAX - value,
			  most = up > value ? up : value;
		const int size = abs(left) < most ? abs(left) : most;
		const int by = left > 0 ? -size : size;
		const bool undo_first = by < 0 ? up < size : up >= size;

		operate(&o, number, undo_first ? by : -by,
			undo_first ? SEM_UNDO : 0);
		operate(&o, number, undo_first ? -by : by,
			undo_first ? 0 : SEM_UNDO);
		r = operate_remote(remote, id, &o, err);
		left += by;
	}
	return r;
}

static int sysv_undo_restore(struct restore_ctx *ctx, struct restore_task *task,
			     struct restore_thread *thread,
			     const ProtobufCMessage *msg, struct err *err)
{
	const SysvUndoRecord *rec = (const SysvUndoRecord *)msg;
	const SysvSemRecord *set;
	int r;

	(void)thread;
	r = check_record(ctx, rec, &set, err);
	for (size_t i = 0; i < rec->n_undos && r == 0; i++) {
		const SysvUndo *u = rec->undos[i];

		r = make_adjustment(task->remote, rec->id, u,
				    (int)set->values[u->number], err);
	}
	return r < 0 ? err_wrap(err, r, "set %d", rec->id) : 0;
}

/* Only when nobody else uses it any more. */
static int sysv_undo_use(struct restore_ctx *ctx, struct restore_task *task,
			 struct restore_thread *thread,
			 const ProtobufCMessage *msg, struct err *err)
{
	const SysvUndoRecord *rec = (const SysvUndoRecord *)msg;
	const SysvSemRecord *set;
	int r;

	(void)thread;
	r = check_record(ctx, rec, &set, err);
	for (size_t i = 0; i < rec->n_last && r == 0; i++) {
		const unsigned short number = (unsigned short)rec->last[i];
		struct operations o = { .count = 0 };
		const int by = set->values[rec->last[i]] ? -1 : 1;

		operate(&o, number, by, 0);
		operate(&o, number, -by, 0);
		r = operate_remote(task->remote, rec->id, &o, err);
	}
	return r < 0 ? err_wrap(err, r, "set %d", rec->id) : 0;
}

const struct resource_ops res_sysv_undo = {
	.name = "semaphore undos",
	.refused = "of processes under a seccomp filter, or that may not "
		   "change the set",
	.tag = TAG_SYSV_UNDO,
	.scope = SCOPE_TASK,
	.stage = STAGE_LATE,
	.check_task = sysv_undo_check,
	.check_thread = sysv_undo_check_thread,
	.dump_task = sysv_undo_dump,
	.restore = sysv_undo_restore,
	.stage2 = STAGE_SIGNALS,
	.restore2 = sysv_undo_use,
};
