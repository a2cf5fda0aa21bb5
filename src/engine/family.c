/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/family.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "util/cleanup.h"

#define ANY_SESSION    -1
#define HIGHEST_HELPER 32767 /* the smallest pid_max in use */

struct id {
	int32_t pid;
	uint32_t member;
};

struct work {
	const TaskRecord *const *tasks;
	size_t count;
	const int32_t *taken;
	size_t ntaken;
	struct id *ids;                     /* of tasks, ascending by pid */
	int32_t *born;                      /* session a task must be born in */
	uint32_t *first_child, *next_child; /* in record order */
	bool *visited;
	uint32_t *queue;
	size_t head, tail;
	struct family *out;
	size_t room_members, room_steps;
	int32_t last_helper;
	uint32_t root;
};

static void work_done(struct work *w)
{
	free(w->ids);
	free(w->born);
	free(w->first_child);
	free(w->next_child);
	free(w->visited);
	free(w->queue);
}

static int order_ids(const void *a, const void *b)
{
	const struct id *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int order_numbers(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t find_task(const struct work *w, int32_t pid)
{
	struct id key = { .pid = pid };
	const struct id *hit;

	hit = bsearch(&key, w->ids, w->count, sizeof(*w->ids), order_ids);
	return hit ? hit->member : FAMILY_NOBODY;
}

static uint32_t find_helper(const struct work *w, int32_t pid)
{
	for (size_t i = w->count; i < w->out->nmembers; i++)
		if (w->out->members[i].ns_pid == pid)
			return (uint32_t)i;
	return FAMILY_NOBODY;
}

static int add_step(struct work *w, enum family_op op, uint32_t who,
		    uint32_t by, int32_t pgid, struct err *err)
{
	struct family *f = w->out;
	struct family_step *steps;

	if (f->nsteps == w->room_steps) {
		w->room_steps = w->room_steps ? 2 * w->room_steps : 64;
		steps = reallocarray(f->steps, w->room_steps, sizeof(*steps));
		if (!steps)
			return err_num(err, ENOMEM, "order of the tree");
		f->steps = steps;
	}
	f->steps[f->nsteps++] = (struct family_step){
		.op = op,
		.who = who,
		.by = by,
		.pgid = pgid,
	};
	return 0;
}

static int add_member(struct work *w, const struct family_member *member,
		      uint32_t *ret, struct err *err)
{
	struct family *f = w->out;
	struct family_member *members;

	if (f->nmembers == w->room_members) {
		w->room_members =
			w->room_members ? 2 * w->room_members : w->count + 8;
		members = reallocarray(f->members, w->room_members,
				       sizeof(*members));
		if (!members)
			return err_num(err, ENOMEM, "members of the tree");
		f->members = members;
	}
	f->members[f->nmembers] = *member;
	*ret = (uint32_t)f->nmembers++;
	return 0;
}

static bool is_taken(const struct work *w, int32_t pid)
{
	return w->ntaken &&
	       bsearch(&pid, w->taken, w->ntaken, sizeof(pid), order_numbers);
}

/* A number that nothing in the image uses. */
static int free_number(struct work *w, int32_t *ret, struct err *err)
{
	int32_t n = w->last_helper;
	bool used;

	do {
		if (--n <= 1)
			return err_set(err, -ENOTSUP,
				       "no process number left for a helper");
		used = find_task(w, n) != FAMILY_NOBODY || is_taken(w, n);
		for (size_t i = 0; i < w->count && !used; i++)
			used = w->tasks[i]->sid == n || w->tasks[i]->pgid == n;
	} while (used);
	w->last_helper = n;
	*ret = n;
	return 0;
}

static int index_tasks(struct work *w, struct err *err)
{
	struct family_member member = { .parent = FAMILY_NOBODY };
	uint32_t unused;
	int r;

	for (size_t i = 0; i < w->count; i++) {
		member.ns_pid = w->tasks[i]->pid;
		member.rec = w->tasks[i];
		r = add_member(w, &member, &unused, err);
		if (r < 0)
			return r;
		w->ids[i] = (struct id){ w->tasks[i]->pid, (uint32_t)i };
		w->first_child[i] = FAMILY_NOBODY;
		w->next_child[i] = FAMILY_NOBODY;
	}
	qsort(w->ids, w->count, sizeof(*w->ids), order_ids);
	for (size_t i = 1; i < w->count; i++)
		if (w->ids[i].pid == w->ids[i - 1].pid)
			return err_set(err, -EBADMSG, "pid %d appears twice",
				       w->ids[i].pid);
	return 0;
}

/* From the last to the first: lists of children come out in record order. */
static int link_children(struct work *w, struct err *err)
{
	const TaskRecord *t;
	uint32_t parent;

	for (size_t i = w->count; i-- > 0;) {
		t = w->tasks[i];
		if (t->ppid == 0) {
			if (w->root != FAMILY_NOBODY)
				return err_set(err, -EBADMSG,
					       "pid %d: a second root", t->pid);
			w->root = (uint32_t)i;
		}
		if (t->ppid == 0 || t->ppid == 1)
			continue;
		parent = find_task(w, t->ppid);
		if (parent == FAMILY_NOBODY || parent >= i)
			return err_set(err, -EBADMSG,
				       "pid %d: parent %d does not come before",
				       t->pid, t->ppid);
		if (w->tasks[parent]->state == TASK_RECORD__STATE__ZOMBIE)
			return err_set(err, -EBADMSG,
				       "pid %d: parent %d is a zombie", t->pid,
				       t->ppid);
		w->out->members[i].parent = parent;
		w->next_child[i] = w->first_child[parent];
		w->first_child[parent] = (uint32_t)i;
	}
	if (w->root == FAMILY_NOBODY)
		return err_set(err, -EBADMSG, "the tree has no root");
	return 0;
}

static int check_ids(const struct work *w, const TaskRecord *t, struct err *err)
{
	uint32_t leader = find_task(w, t->sid), head = find_task(w, t->pgid);

	if (t->sid < 0 || t->pgid < 0 || t->sid == 1 || t->pgid == 1)
		return err_set(err, -ENOTSUP,
			       "pid %d: session or group of init", t->pid);
	if (t->sid != 0 && t->pgid == 0)
		return err_set(err, -ENOTSUP,
			       "pid %d: group from outside in session %d",
			       t->pid, t->sid);
	if (t->sid == t->pid && t->pgid != t->pid)
		return err_set(err, -EBADMSG,
			       "pid %d: leads a session but no group", t->pid);
	if (leader != FAMILY_NOBODY && w->tasks[leader]->sid != t->sid)
		return err_set(err, -ENOTSUP,
			       "pid %d: session %d, which pid %d has left",
			       t->pid, t->sid, t->sid);
	if (head != FAMILY_NOBODY && w->tasks[head]->sid != t->sid)
		return err_set(err, -ENOTSUP,
			       "pid %d: group %d of another session", t->pid,
			       t->pgid);
	if ((leader == FAMILY_NOBODY && t->sid && is_taken(w, t->sid)) ||
	    (head == FAMILY_NOBODY && t->pgid && is_taken(w, t->pgid)))
		return err_set(err, -EBADMSG,
			       "pid %d: a thread leads its session or group",
			       t->pid);
	return 0;
}

static int task_birth(struct work *w, size_t i, struct err *err)
{
	const TaskRecord *t = w->tasks[i];
	bool leads = t->sid == t->pid;
	int32_t need;

	w->born[i] = leads ? ANY_SESSION : t->sid;
	for (uint32_t c = w->first_child[i]; c != FAMILY_NOBODY;
	     c = w->next_child[c]) {
		need = w->born[c];
		if (need == ANY_SESSION || need == t->sid)
			continue;
		if (!leads || (w->born[i] != ANY_SESSION && w->born[i] != need))
			return err_set(err, -ENOTSUP,
				       "pid %d: session %d cannot be had from "
				       "parent %d",
				       w->tasks[c]->pid, need, t->pid);
		w->born[i] = need;
	}
	return 0;
}

/* Children come after their parents, so from the last to the first. */
static int find_births(struct work *w, struct err *err)
{
	int r;

	for (size_t i = w->count; i-- > 0;) {
		r = check_ids(w, w->tasks[i], err);
		if (r < 0)
			return r;
		r = task_birth(w, i, err);
		if (r < 0)
			return r;
	}
	if (w->born[w->root] > 0)
		return err_set(err, -ENOTSUP,
			       "pid %d: the root is in session %d of nobody",
			       w->tasks[w->root]->pid, w->born[w->root]);
	return 0;
}

static int give_birth(struct work *w, uint32_t parent, bool before,
		      struct err *err)
{
	bool early;
	int r;

	for (uint32_t c = w->first_child[parent]; c != FAMILY_NOBODY;
	     c = w->next_child[c]) {
		early = w->born[c] != ANY_SESSION &&
			w->born[c] != w->tasks[parent]->sid;
		if (early != before)
			continue;
		r = add_step(w, FAMILY_FORK, c, parent, 0, err);
		if (r < 0)
			return r;
		w->queue[w->tail++] = c;
	}
	return 0;
}

/* All that is still to be born below the tasks in the queue. */
static int drain_queue(struct work *w, struct err *err)
{
	uint32_t who;
	int r;

	while (w->head < w->tail) {
		who = w->queue[w->head++];
		r = give_birth(w, who, true, err);
		if (r == 0 && w->tasks[who]->sid == w->tasks[who]->pid)
			r = add_step(w, FAMILY_SETSID, who, 0, 0, err);
		if (r == 0)
			r = give_birth(w, who, false, err);
		if (r < 0)
			return r;
		w->visited[who] = true;
	}
	return 0;
}

/* A helper with this number, or with any free one (0). */
static int new_helper(struct work *w, int32_t ns_pid, uint32_t parent,
		      int32_t session, uint32_t *ret, struct err *err)
{
	struct family_member member = {
		.ns_pid = ns_pid,
		.parent = parent,
		.session = session,
	};
	enum family_op op =
		parent == FAMILY_NOBODY ? FAMILY_SPAWN : FAMILY_FORK;
	int r = 0;

	if (ns_pid == 0)
		r = free_number(w, &member.ns_pid, err);
	if (r == 0)
		r = add_member(w, &member, ret, err);
	if (r == 0)
		r = add_step(w, op, *ret, parent, 0, err);
	return r;
}

/* A child of the root where that can be: orphans then inherit its memory. */
static uint32_t parent_outside(const struct work *w)
{
	return w->tasks[w->root]->sid == 0 ? w->root : FAMILY_NOBODY;
}

/* The helper that gives birth to orphans of a session; one per session. */
static int orphan_helper(struct work *w, int32_t born, uint32_t *ret,
			 struct err *err)
{
	int32_t session = born == ANY_SESSION ? 0 : born;
	uint32_t leader = session ? find_task(w, session) : FAMILY_NOBODY;
	int r;

	for (size_t i = w->count; i < w->out->nmembers; i++) {
		*ret = (uint32_t)i;
		if (w->out->members[i].session == session)
			return 0;
	}
	if (session == 0)
		leader = parent_outside(w);
	if (session == 0 || leader != FAMILY_NOBODY)
		return new_helper(w, 0, leader, session, ret, err);
	r = new_helper(w, session, FAMILY_NOBODY, session, ret, err);
	return r < 0 ? r : add_step(w, FAMILY_SETSID, *ret, 0, 0, err);
}

static int bear_orphans(struct work *w, struct err *err)
{
	uint32_t helper, leader;
	bool progress = true, waiting = true;
	int r;

	while (progress && waiting) {
		progress = waiting = false;
		for (size_t i = 0; i < w->count; i++) {
			if (w->tasks[i]->ppid != 1 || w->visited[i])
				continue;
			leader = w->born[i] > 0 ? find_task(w, w->born[i])
						: FAMILY_NOBODY;
			if (leader != FAMILY_NOBODY && !w->visited[leader]) {
				waiting = true;
				continue;
			}
			r = orphan_helper(w, w->born[i], &helper, err);
			if (r == 0)
				r = add_step(w, FAMILY_FORK, (uint32_t)i,
					     helper, 0, err);
			if (r < 0)
				return r;
			w->queue[w->tail++] = (uint32_t)i;
			r = drain_queue(w, err);
			if (r < 0)
				return r;
			progress = true;
		}
	}
	return 0;
}

static int all_born(const struct work *w, struct err *err)
{
	for (size_t i = 0; i < w->count; i++)
		if (!w->visited[i])
			return err_set(
				err, -ENOTSUP,
				"pid %d: session %d cannot be made again",
				w->tasks[i]->pid, w->tasks[i]->sid);
	return 0;
}

/* Groups that somebody is in get a first member: their leader or a helper. */
static int lead_groups(struct work *w, struct err *err)
{
	const TaskRecord *t;
	uint32_t leader;
	int r;

	for (size_t i = 0; i < w->count; i++) {
		t = w->tasks[i];
		if (t->pgid == 0 || t->pgid == t->sid)
			continue;
		leader = find_task(w, t->pgid);
		if (leader == FAMILY_NOBODY)
			leader = find_helper(w, t->pgid);
		else if (t->pgid != t->pid && w->tasks[leader]->pgid == t->pgid)
			continue; /* led when its turn comes */
		if (leader == FAMILY_NOBODY)
			r = new_helper(w, t->pgid, (uint32_t)i, t->sid, &leader,
				       err);
		else if (leader >= w->count)
			continue; /* a helper leads it already */
		else
			r = 0;
		if (r == 0)
			r = add_step(w, FAMILY_SETPGID, leader, 0, t->pgid,
				     err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Does somebody wait in the group of this task, which is in another one? */
static bool led_for_others(const struct work *w, const TaskRecord *leader)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->tasks[i]->pgid == leader->pid)
			return true;
	return false;
}

/* Who only led a group for others leaves it when they are in. */
static int join_groups(struct work *w, bool leaders, struct err *err)
{
	const TaskRecord *t;
	int r;

	for (size_t i = 0; i < w->count; i++) {
		t = w->tasks[i];
		if (t->pgid == 0 || t->pgid == t->pid ||
		    led_for_others(w, t) != leaders)
			continue;
		r = add_step(w, FAMILY_SETPGID, (uint32_t)i, 0, t->pgid, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int helpers_leave(struct work *w, struct err *err)
{
	int r;

	for (size_t i = w->count; i < w->out->nmembers; i++) {
		r = add_step(w, FAMILY_LEAVE, (uint32_t)i, 0, 0, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_steps(struct work *w, struct err *err)
{
	int r;

	r = add_step(w, FAMILY_SPAWN, w->root, FAMILY_NOBODY, 0, err);
	if (r < 0)
		return r;
	w->queue[w->tail++] = w->root;
	r = drain_queue(w, err);
	if (r == 0)
		r = bear_orphans(w, err);
	if (r == 0)
		r = all_born(w, err);
	if (r == 0)
		r = lead_groups(w, err);
	if (r == 0)
		r = join_groups(w, false, err);
	if (r == 0)
		r = join_groups(w, true, err);
	if (r == 0)
		r = helpers_leave(w, err);
	return r;
}

int family_plan(const TaskRecord *const *tasks, size_t count,
		const int32_t *taken, size_t ntaken, struct family *ret,
		struct err *err)
{
	struct family out = { 0 };
	struct work w = {
		.tasks = tasks,
		.count = count,
		.taken = taken,
		.ntaken = ntaken,
		.out = &out,
		.root = FAMILY_NOBODY,
		.last_helper = HIGHEST_HELPER + 1,
	};
	int r = 0;

	w.ids = calloc(count + 1, sizeof(*w.ids));
	w.born = calloc(count + 1, sizeof(*w.born));
	w.first_child = calloc(count + 1, sizeof(*w.first_child));
	w.next_child = calloc(count + 1, sizeof(*w.next_child));
	w.visited = calloc(count + 1, sizeof(*w.visited));
	w.queue = calloc(count + 1, sizeof(*w.queue));
	if (!w.ids || !w.born || !w.first_child || !w.next_child ||
	    !w.visited || !w.queue)
		r = err_num(err, ENOMEM, "tree of %zu processes", count);
	if (r == 0)
		r = index_tasks(&w, err);
	if (r == 0)
		r = link_children(&w, err);
	if (r == 0)
		r = find_births(&w, err);
	if (r == 0)
		r = plan_steps(&w, err);
	work_done(&w);
	if (r < 0)
		family_done(&out);
	else
		*ret = out;
	return r;
}

void family_done(struct family *family)
{
	free(family->members);
	free(family->steps);
	*family = (struct family){ 0 };
}
