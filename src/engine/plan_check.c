/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/plan_check.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/user.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "images/unix.pb-c.h"
#include "resource/resource.h"

#define ADDRESS_LIMIT  0x7ffffffff000ull
#define XSTATE_NUMBERS 63

/* Every record is about somebody that is there. */
static int check_record(const struct plan *plan, const struct meta_entry *e,
			struct err *err)
{
	const struct resource_ops *ops = resource_by_tag(e->tag);
	int32_t pid = plan_number(e->msg, "pid");
	int32_t tid = plan_number(e->msg, "tid");
	const struct plan_thread *thread;
	const char *name = ops ? ops->name : img_tag_name(e->tag);

	if (e->tag == TAG_PART || e->tag == TAG_PART_END || e->tag == TAG_TASK)
		return 0;
	/* A job can be built without it: others see to it. */
	if (e->tag & TAG_OPTIONAL)
		return 0;
	if (!ops && e->tag != TAG_FD && e->tag != TAG_PAGES &&
	    e->tag != TAG_COW && e->tag != TAG_BLOCKS)
		return err_set(
			err, -ENOTSUP,
			"record 0x%04x: no part of this jobcr restores it",
			e->tag);
	if (pid < 0 || tid < 0)
		return err_set(err, -EBADMSG, "%s: pid %d, thread %d", name,
			       pid, tid);
	thread = pid ? plan_thread(plan, pid) : NULL;
	if (pid && (!thread || thread->thread != 0))
		return err_set(err, -EBADMSG,
			       "%s of pid %d, which is not there", name, pid);
	if (tid && (!plan_thread(plan, tid) ||
		    (pid && plan_thread(plan, tid)->task != thread->task)))
		return err_set(err, -EBADMSG,
			       "%s of thread %d, which is not there", name,
			       tid);
	if (ops && ops->scope != SCOPE_FILE && ops->scope != SCOPE_TREE &&
	    !pid && !tid)
		return err_set(err, -EBADMSG, "%s of nobody", name);
	return 0;
}

static bool has_object(const struct plan *plan, uint32_t object, bool open)
{
	size_t count;

	for (size_t i = 0; resource_table[i]; i++) {
		if (resource_table[i]->scope != SCOPE_FILE ||
		    (open && !resource_table[i]->match))
			continue;
		(void)plan_find(plan, resource_table[i]->tag, object, &count);
		if (count == 1)
			return true;
	}
	return false;
}

static int check_fds(const struct plan *plan, int32_t pid, struct err *err)
{
	const struct plan_record *recs;
	const FdRecord *fd;
	int64_t last = -1;
	size_t count;

	recs = plan_find(plan, TAG_FD, (uint32_t)pid, &count);
	for (size_t i = 0; i < count; i++) {
		fd = (const FdRecord *)recs[i].msg;
		if ((int64_t)fd->fd <= last || fd->fd >= TASK_MAX_FDS)
			return err_set(err, -EBADMSG,
				       "pid %d: fd %u is out of order", pid,
				       fd->fd);
		last = fd->fd;
		if (!has_object(plan, fd->object, true))
			return err_set(err, -EBADMSG,
				       "pid %d: fd %u: no open file %u", pid,
				       fd->fd, fd->object);
	}
	return 0;
}

/* What travels is what a descriptor could be for. */
static int check_message(const struct plan *plan, const UnixMessageRecord *m,
			 struct err *err)
{
	for (size_t i = 0; i < m->n_objects; i++)
		if (!has_object(plan, m->objects[i], true))
			return err_set(err, -EBADMSG,
				       "message for socket %u: no open file %u",
				       m->socket, m->objects[i]);
	return 0;
}

static int check_messages(const struct plan *plan, struct err *err)
{
	const struct plan_record *recs;
	size_t count;
	int r = 0;

	recs = plan_kind(plan, TAG_UNIX_MESSAGE, &count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = check_message(plan, (const UnixMessageRecord *)recs[i].msg,
				  err);
	return r;
}

static int check_vma(const struct plan *plan, const VmaRecord *v,
		     struct err *err)
{
	bool file = v->kind == VMA_RECORD__KIND__FILE_PRIVATE ||
		    v->kind == VMA_RECORD__KIND__FILE_SHARED ||
		    v->kind == VMA_RECORD__KIND__SHMEM_SHARED ||
		    v->kind == VMA_RECORD__KIND__SHMEM_PRIVATE;

	if (v->start % IMAGE_PAGE || v->end % IMAGE_PAGE ||
	    v->start >= v->end || v->end > ADDRESS_LIMIT)
		return err_set(err, -EBADMSG,
			       "pid %d: mapping at %#llx to %#llx", v->pid,
			       (unsigned long long)v->start,
			       (unsigned long long)v->end);
	if (file && !(v->has_object && has_object(plan, v->object, false)))
		return err_set(err, -EBADMSG,
			       "pid %d: mapping at %#llx: no object %u", v->pid,
			       (unsigned long long)v->start, v->object);
	return 0;
}

static bool has_pty(const struct plan *plan, uint32_t index)
{
	const struct plan_record *recs;
	const PtyRecord *pty;
	size_t count;

	recs = plan_kind(plan, TAG_PTY, &count);
	for (size_t i = 0; i < count; i++) {
		pty = (const PtyRecord *)recs[i].msg;
		if (pty->index == index && !pty->hung_up)
			return true;
	}
	return false;
}

/*
 * Where the job has none it may see the node's terminals, which are others',
 * and it is given one by a number and with our rights.
 */
static int check_terminals(const struct plan *plan, struct err *err)
{
	const struct plan_record *recs;
	const TerminalRecord *t;
	const PtyRecord *pty;
	size_t count;

	recs = plan_kind(plan, TAG_PTY, &count);
	for (size_t i = 0; i < count; i++) {
		pty = (const PtyRecord *)recs[i].msg;
		if (pty->index > PTY_MAX_INDEX)
			return err_set(err, -EBADMSG, "pty: /dev/pts/%u",
				       pty->index);
	}
	recs = plan_kind(plan, TAG_TERMINAL, &count);
	for (size_t i = 0; i < count; i++) {
		t = (const TerminalRecord *)recs[i].msg;
		if (t->has_index && !has_pty(plan, t->index))
			return err_set(err, -EBADMSG,
				       "pid %d: the job has no pseudo terminal "
				       "%u",
				       t->pid, t->index);
	}
	return 0;
}

static int check_memory(const struct plan *plan, int32_t pid, struct err *err)
{
	const struct plan_record *recs;
	uint64_t end = 0, vdsos = 0;
	const VmaRecord *v;
	size_t count;
	int r;

	(void)plan_find(plan, TAG_MM, (uint32_t)pid, &count);
	if (count != 1)
		return err_set(err, -EBADMSG, "pid %d: %zu address spaces", pid,
			       count);
	recs = plan_find(plan, TAG_VMA, (uint32_t)pid, &count);
	for (size_t i = 0; i < count; i++) {
		v = (const VmaRecord *)recs[i].msg;
		r = check_vma(plan, v, err);
		if (r < 0)
			return r;
		if (v->start < end)
			return err_set(err, -EBADMSG,
				       "pid %d: mappings overlap at %#llx", pid,
				       (unsigned long long)v->start);
		end = v->end;
		vdsos += v->kind == VMA_RECORD__KIND__VDSO;
	}
	if (vdsos != 1)
		return err_set(err, -ENOTSUP,
			       "pid %d: %llu vDSOs mapped: run it without "
			       "tools that unmap it",
			       pid, (unsigned long long)vdsos);
	return 0;
}

static int check_regs(const struct plan *plan, int32_t tid, struct err *err)
{
	const struct plan_record *recs;
	const RegsRecord *regs;
	uint32_t number;
	size_t count;

	recs = plan_find(plan, TAG_REGS, (uint32_t)tid, &count);
	if (count != 1)
		return err_set(err, -EBADMSG, "thread %d: %zu register sets",
			       tid, count);
	regs = (const RegsRecord *)recs[0].msg;
	if (regs->n_general != sizeof(struct user_regs_struct) / 8)
		return err_set(err, -EBADMSG, "thread %d: %zu registers", tid,
			       regs->n_general);
	for (size_t i = 0; i < regs->n_xstate; i++) {
		number = regs->xstate[i]->number;
		if (number > XSTATE_NUMBERS ||
		    !(plan->part->xcr0 >> number & 1))
			return err_set(err, -EBADMSG,
				       "thread %d: state component %u, which "
				       "its node had not",
				       tid, number);
	}
	return 0;
}

static bool gid_is_owners(const struct user_id *owner, uint32_t gid)
{
	for (size_t i = 0; i < owner->ngroups; i++)
		if (owner->groups[i] == gid)
			return true;
	return owner->gid == gid;
}

/* Credentials are the job's as others prove them, never the image's. */
static int check_creds(const struct plan *plan, int32_t tid,
		       const struct user_id *owner, struct err *err)
{
	const struct plan_record *recs;
	const CredsRecord *c;
	size_t count;

	recs = plan_find(plan, TAG_CREDS, (uint32_t)tid, &count);
	if (count != 1)
		return err_set(err, -EBADMSG, "thread %d: %zu credentials", tid,
			       count);
	c = (const CredsRecord *)recs[0].msg;
	if (c->n_uids != 4 || c->n_gids != 4)
		return err_set(err, -EBADMSG, "thread %d: half credentials",
			       tid);
	if (owner->uid == 0)
		return 0;
	for (size_t i = 0; i < 4; i++)
		if (c->uids[i] != owner->uid)
			return err_set(
				err, -EPERM,
				"thread %d: uid %u is not the owner's, %u", tid,
				c->uids[i], owner->uid);
	for (size_t i = 0; i < 4 + c->n_groups; i++) {
		uint32_t gid = i < 4 ? c->gids[i] : c->groups[i - 4];

		if (!gid_is_owners(owner, gid))
			return err_set(err, -EPERM,
				       "thread %d: owner %u is not in group %u",
				       tid, owner->uid, gid);
	}
	if (c->cap_effective || c->cap_permitted || c->cap_inheritable ||
	    c->cap_ambient)
		return err_set(err, -EPERM,
			       "thread %d: capabilities of an ordinary user",
			       tid);
	return 0;
}

static int check_thread(const struct plan *plan, int32_t tid,
			const struct user_id *owner, struct err *err)
{
	int r;

	r = check_regs(plan, tid, err);
	return r < 0 ? r : check_creds(plan, tid, owner, err);
}

/* Each of them takes descriptors of the worker's. */
static int check_private(const struct plan *plan, struct err *err)
{
	size_t count;

	(void)plan_kind(plan, TAG_PRIVATE_ENTRY, &count);
	/* Directories have two. */
	return count > 2 * (size_t)PRIVATE_MAX_ENTRIES
		       ? err_set(err, -EBADMSG,
				 "%zu files in directories of the job's own",
				 count)
		       : 0;
}

int plan_check(const struct plan *plan, const struct user_id *owner,
	       struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->meta->count && r == 0; i++)
		r = check_record(plan, &plan->meta->entries[i], err);
	if (r == 0)
		r = check_messages(plan, err);
	if (r == 0)
		r = check_terminals(plan, err);
	if (r == 0)
		r = check_private(plan, err);
	for (size_t i = 0; i < plan->nthreads && r == 0; i++)
		r = check_thread(plan, plan->threads[i].tid, owner, err);
	for (size_t i = 0; i < plan->ntasks && r == 0; i++) {
		if (plan->tasks[i]->state == TASK_RECORD__STATE__ZOMBIE)
			continue;
		r = check_fds(plan, plan->tasks[i]->pid, err);
		if (r == 0)
			r = check_memory(plan, plan->tasks[i]->pid, err);
	}
	return r;
}
