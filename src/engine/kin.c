/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/kin.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "engine/family.h"
#include "util/cleanup.h"

/*
 * A group or session whose leader is alive outside the tree is none of ours:
 * 0.  One whose leader has ended keeps its number.
 */
static pid_t led_inside(const struct collection *c, pid_t ns_leader,
			pid_t leader)
{
	if (!ns_leader || collection_ns_pid(c, leader))
		return ns_leader;
	return kill(leader, 0) == 0 || errno != ESRCH ? 0 : ns_leader;
}

static pid_t parent_of(const struct collection *c, pid_t root_pid,
		       const struct frozen_task *f)
{
	pid_t ns;

	if (f->pid == root_pid)
		return 0;
	ns = collection_ns_pid(c, f->stat.ppid);
	return ns ? ns : 1;
}

void kin_fill(const struct collection *c, pid_t root_pid,
	      const struct frozen_task *f, TaskRecord *rec)
{
	rec->pid = f->ns_pid;
	rec->ppid = parent_of(c, root_pid, f);
	rec->pgid = led_inside(c, f->status.ns_pgid, f->stat.pgid);
	rec->sid = led_inside(c, f->status.ns_sid, f->stat.sid);
	rec->state = f->zombie ? TASK_RECORD__STATE__ZOMBIE
			       : TASK_RECORD__STATE__RUNNING;
}

static int order_numbers(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* Numbers of threads that lead no process. */
static size_t list_threads(const struct collection *c, int32_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->ntasks; i++)
		for (size_t k = 1; k < c->tasks[i].nthreads; k++)
			ret[n++] = c->tasks[i].threads[k].ns_tid;
	qsort(ret, n, sizeof(*ret), order_numbers);
	return n;
}

int kin_check(const struct collection *c, pid_t root_pid, struct refusals *no,
	      struct err *err)
{
	auto_free TaskRecord *recs = calloc(c->ntasks, sizeof(*recs));
	auto_free const TaskRecord **list = calloc(c->ntasks, sizeof(*list));
	auto_free int32_t *tids = NULL;
	struct family family = { 0 };
	struct err why = { 0 };
	size_t nthreads = 1;
	int r;

	for (size_t i = 0; i < c->ntasks; i++)
		nthreads += c->tasks[i].nthreads;
	tids = calloc(nthreads, sizeof(*tids));
	if (!recs || !list || !tids)
		return err_num(err, ENOMEM, "%zu processes", c->ntasks);
	for (size_t i = 0; i < c->ntasks; i++) {
		task_record__init(&recs[i]);
		kin_fill(c, root_pid, c->tasks[i].frozen, &recs[i]);
		list[i] = &recs[i];
	}
	r = family_plan(list, c->ntasks, tids, list_threads(c, tids), &family,
			&why);
	family_done(&family);
	if (r == 0)
		return 0;
	if (r != -ENOTSUP)
		return err_set(err, r, "%s", why.text);
	refusals_add(no, c->tasks[0].view.ns_pid, c->tasks[0].view.stat->comm,
		     -1, "let no process adopt others (subreaper)",
		     "a tree that cannot be born again: %s", why.text);
	return 0;
}
