/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/foreign_plan.h"
#include "engine/plan_check.h"
#include "images/limits.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "snapshot/huge.h"
#include "util/cleanup.h"
#include "util/file_policy.h"

#define PID_LIMIT (4 << 20)

static int order_threads(const void *a, const void *b)
{
	const struct plan_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static int collect_tasks(struct plan *plan, struct err *err)
{
	const struct meta *meta = plan->meta;
	size_t count = 0;

	for (size_t i = 0; i < meta->count; i++)
		count += meta->entries[i].tag == TAG_TASK;
	if (count == 0 || count > TREE_MAX_TASKS)
		return err_set(err, -EBADMSG, "%zu processes in the part",
			       count);
	plan->tasks = calloc(count, sizeof(TaskRecord *));
	if (!plan->tasks)
		return err_num(err, ENOMEM, "%zu processes", count);
	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_TASK)
			plan->tasks[plan->ntasks++] =
				(const TaskRecord *)meta->entries[i].msg;
	return 0;
}

static int check_task(const TaskRecord *t, struct err *err)
{
	if (t->pid <= 1 || t->pid >= PID_LIMIT || t->ppid < 0)
		return err_set(err, -EBADMSG, "pid %d, child of %d", t->pid,
			       t->ppid);
	if (t->exit_signal < 0 || t->exit_signal > 64 || t->stop_signal < 0 ||
	    t->stop_signal > 64)
		return err_set(err, -EBADMSG, "pid %d: no such signal", t->pid);
	if (t->state == TASK_RECORD__STATE__ZOMBIE)
		return 0;
	if (t->n_tids == 0 || t->n_tids > TASK_MAX_THREADS ||
	    t->tids[0] != t->pid)
		return err_set(err, -EBADMSG,
			       "pid %d: its threads do not begin with it",
			       t->pid);
	for (size_t i = 0; i < t->n_tids; i++)
		if (t->tids[i] <= 1 || t->tids[i] >= PID_LIMIT)
			return err_set(err, -EBADMSG, "pid %d: thread %d",
				       t->pid, t->tids[i]);
	return 0;
}

static int collect_threads(struct plan *plan, struct err *err)
{
	size_t count = 0;
	int r;

	for (size_t i = 0; i < plan->ntasks; i++) {
		r = check_task(plan->tasks[i], err);
		if (r < 0)
			return r;
		if (plan->tasks[i]->state != TASK_RECORD__STATE__ZOMBIE)
			count += plan->tasks[i]->n_tids;
	}
	if (count == 0)
		return err_set(err, -EBADMSG, "no process that lives");
	plan->threads = calloc(count + 1, sizeof(*plan->threads));
	if (!plan->threads)
		return err_num(err, ENOMEM, "%zu threads", count);
	for (size_t i = 0; i < plan->ntasks; i++) {
		const TaskRecord *t = plan->tasks[i];

		if (t->state == TASK_RECORD__STATE__ZOMBIE)
			continue;
		for (size_t k = 0; k < t->n_tids; k++)
			plan->threads[plan->nthreads++] =
				(struct plan_thread){ t->tids[k], (uint32_t)i,
						      (uint32_t)k };
	}
	qsort(plan->threads, plan->nthreads, sizeof(*plan->threads),
	      order_threads);
	for (size_t i = 1; i < plan->nthreads; i++)
		if (plan->threads[i].tid == plan->threads[i - 1].tid)
			return err_set(err, -EBADMSG, "thread %d appears twice",
				       plan->threads[i].tid);
	return 0;
}

static int plan_family(struct plan *plan, struct err *err)
{
	auto_free int32_t *taken = NULL;
	size_t ntaken = 0;

	taken = calloc(plan->nthreads + 1, sizeof(*taken));
	if (!taken)
		return err_num(err, ENOMEM, "%zu threads", plan->nthreads);
	for (size_t i = 0; i < plan->nthreads; i++)
		if (plan->threads[i].thread != 0)
			taken[ntaken++] = plan->threads[i].tid;
	return family_plan(plan->tasks, plan->ntasks, taken, ntaken,
			   &plan->family, err);
}

static bool is_zero(const ProtobufCBinaryData *data)
{
	for (size_t i = 0; i < data->len; i++)
		if (data->data[i])
			return false;
	return true;
}

/*
 * A job that keeps to a level has none of the state that is missing here; all
 * zero is what it has when nothing was done with it.
 */
static int check_states(const struct plan *plan, struct err *err)
{
	const struct plan_record *recs;
	const RegsRecord *regs;
	size_t count;

	for (size_t i = 0; i < plan->nthreads && plan->missing_states; i++) {
		recs = plan_find(plan, TAG_REGS, (uint32_t)plan->threads[i].tid,
				 &count);
		regs = (const RegsRecord *)recs[0].msg;
		for (size_t k = 0; k < regs->n_xstate; k++) {
			const XstateComponent *c = regs->xstate[k];

			if (plan->missing_states >> c->number & 1 &&
			    !is_zero(&c->data))
				return err_set(
					err, -ENOTSUP,
					"thread %d uses register state %s, "
					"which this node has not and no job of "
					"level x86-64-v%u: restore on a node "
					"that has it",
					plan->threads[i].tid,
					cpu_state_name(c->number),
					plan->part->isa);
		}
	}
	return 0;
}

static int check_node(struct plan *plan, struct err *err)
{
	const PartRecord *part = plan->part;
	uint32_t words[CPU_WORDS];
	int r;

	if (part->page_size != IMAGE_PAGE)
		return err_set(err, -ENOTSUP, "pages of %u bytes",
			       part->page_size);
	cpu_info_read(&plan->cpu);
	if (part->cpu_features.len != sizeof(words))
		return err_set(err, -EBADMSG, "%zu bytes of CPU features",
			       part->cpu_features.len);
	memcpy(words, part->cpu_features.data, sizeof(words));
	if (part->isa == 1 || part->isa > ISA_LEVELS_MAX)
		return err_set(err, -EBADMSG, "level %u of the CPU", part->isa);
	if (part->peers > 1)
		return err_set(err, -EBADMSG, "policy %u for peers",
			       part->peers);
	if (part->files >= FILES_POLICIES)
		return err_set(err, -EBADMSG, "policy %u for files",
			       part->files);
	plan->missing_states = cpu_missing_states(&plan->cpu, part->xcr0);
	r = cpu_check(&plan->cpu, part->xcr0, words, CPU_WORDS, part->isa, err);
	if (r == 0)
		r = check_states(plan, err);
	if (r < 0)
		return err_wrap(err, r, "saved on node %s", part->node);
	return foreign_plan(plan, err);
}

/* Before anything is built: later a lack of them could only be an accident. */
static int check_huge(const struct plan *plan, struct err *err)
{
	struct huge_count need;
	int r;

	r = huge_needed(plan->meta, &need, err);
	for (size_t i = 0; i < HUGETLB_SIZES && r == 0; i++)
		r = hugetlb_need(hugetlb_sizes[i], need.pages[i], err);
	return r;
}

static int find_part(struct plan *plan, struct err *err)
{
	const struct meta *meta = plan->meta;

	if (meta->count == 0 || meta->entries[0].tag != TAG_PART)
		return err_set(err, -EBADMSG, "the first record is no part");
	for (size_t i = 1; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_PART)
			return err_set(err, -EBADMSG, "two parts in one");
	plan->part = (const PartRecord *)meta->entries[0].msg;
	return 0;
}

int plan_make(const struct meta *meta, const struct user_id *owner,
	      struct plan *ret, struct err *err)
{
	struct plan plan = { .meta = meta };
	int r;

	r = find_part(&plan, err);
	if (r == 0)
		r = plan_index(&plan, err);
	if (r == 0)
		r = collect_tasks(&plan, err);
	if (r == 0)
		r = collect_threads(&plan, err);
	if (r == 0)
		r = plan_family(&plan, err);
	if (r == 0)
		r = plan_check(&plan, owner, err);
	if (r == 0)
		r = check_node(&plan, err);
	if (r == 0)
		r = check_huge(&plan, err);
	if (r < 0)
		plan_done(&plan);
	else
		*ret = plan;
	return r;
}

void plan_done(struct plan *plan)
{
	family_done(&plan->family);
	free(plan->tasks);
	free(plan->threads);
	free(plan->index);
	*plan = (struct plan){ 0 };
}
