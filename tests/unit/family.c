/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each tree is planned, then the steps are played by processes on paper that
 * obey the kernel's rules.  They must end up as recorded.
 */
#include "engine/family.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/tap.h"
#include "util/cleanup.h"

#define OUTSIDE 0

struct actor {
	bool alive;
	int32_t pid, ppid, pgid, sid;
};

static bool in_use(const struct actor *a, size_t n, int32_t number)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].pid == number || a[i].pgid == number ||
		    a[i].sid == number)
			return true;
	return false;
}

static bool group_in(const struct actor *a, size_t n, int32_t pgid, int32_t sid)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].alive && a[i].pgid == pgid && a[i].sid == sid)
			return true;
	return false;
}

/* 0, or the text of what the kernel would not do. */
static const char *play(struct actor *a, const struct family *f,
			const struct family_step *s)
{
	struct actor *who = &a[s->who];

	switch (s->op) {
	case FAMILY_SPAWN:
	case FAMILY_FORK:
		if (who->pid ||
		    in_use(a, f->nmembers, f->members[s->who].ns_pid))
			return "a number that is taken";
		if (s->op == FAMILY_FORK && !a[s->by].alive)
			return "a child of nobody";
		*who = (struct actor){ true, f->members[s->who].ns_pid, 0,
				       OUTSIDE, OUTSIDE };
		if (s->op == FAMILY_FORK) {
			who->ppid = a[s->by].pid;
			who->pgid = a[s->by].pgid;
			who->sid = a[s->by].sid;
		}
		return NULL;
	case FAMILY_SETSID:
		if (group_in(a, f->nmembers, who->pid, who->sid))
			return "setsid of a group leader";
		who->sid = who->pgid = who->pid;
		return NULL;
	case FAMILY_SETPGID:
		if (who->sid == who->pid ||
		    (s->pgid != who->pid &&
		     !group_in(a, f->nmembers, s->pgid, who->sid)))
			return "setpgid is not permitted";
		who->pgid = s->pgid;
		return NULL;
	case FAMILY_LEAVE:
		if (f->members[s->who].rec)
			return "a task leaves";
		who->alive = false;
		for (size_t i = 0; i < f->nmembers; i++)
			if (a[i].ppid == who->pid)
				a[i].ppid = 1;
		return NULL;
	}
	return "what?";
}

struct person {
	int32_t pid, ppid, pgid, sid;
};

static TaskRecord *make(const struct person *p, size_t n,
			const TaskRecord ***ret)
{
	TaskRecord *recs = calloc(n, sizeof(*recs));
	const TaskRecord **list = calloc(n, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		task_record__init(&recs[i]);
		recs[i].pid = p[i].pid;
		recs[i].ppid = p[i].ppid;
		recs[i].pgid = p[i].pgid;
		recs[i].sid = p[i].sid;
		recs[i].state = TASK_RECORD__STATE__RUNNING;
		list[i] = &recs[i];
	}
	*ret = list;
	return recs;
}

static void expect_tree(const char *name, const struct person *p, size_t n)
{
	auto_free const TaskRecord **list = NULL;
	auto_free TaskRecord *recs = make(p, n, &list);
	auto_free struct actor *a = NULL;
	struct family f = { 0 };
	struct err err = { 0 };
	const char *why = NULL;
	bool good = true;

	if (family_plan(list, n, NULL, 0, &f, &err) < 0) {
		ok(false, "%s: %s", name, err.text);
		return;
	}
	a = calloc(f.nmembers, sizeof(*a));
	for (size_t i = 0; i < f.nsteps && !why; i++) {
		why = play(a, &f, &f.steps[i]);
		if (why)
			diag("step %zu: member %u: %s", i, f.steps[i].who, why);
	}
	for (size_t i = 0; i < n; i++) {
		bool same = a[i].alive && a[i].pid == p[i].pid &&
			    a[i].ppid == p[i].ppid && a[i].sid == p[i].sid &&
			    a[i].pgid == p[i].pgid;

		if (!same)
			diag("%d became child %d group %d session %d", p[i].pid,
			     a[i].ppid, a[i].pgid, a[i].sid);
		good = good && same;
	}
	for (size_t i = n; i < f.nmembers; i++)
		good = good && !a[i].alive;
	ok(good && !why, "%s", name);
	family_done(&f);
}

static void expect_no(const char *name, const struct person *p, size_t n,
		      int code)
{
	auto_free const TaskRecord **list = NULL;
	auto_free TaskRecord *recs = make(p, n, &list);
	struct family f = { 0 };
	struct err err = { 0 };
	int r = family_plan(list, n, NULL, 0, &f, &err);

	ok(r == code, "%s: %s", name, err.text);
	family_done(&f);
}

#define TREE(name, ...)                                                        \
	do {                                                                   \
		const struct person list[] = { __VA_ARGS__ };                  \
		expect_tree(name, list, ARRAY_SIZE(list));                     \
	} while (0)
#define NO_TREE(name, code, ...)                                               \
	do {                                                                   \
		const struct person list[] = { __VA_ARGS__ };                  \
		expect_no(name, list, ARRAY_SIZE(list), code);                 \
	} while (0)

static void test_trees(void)
{
	TREE("one process of an outer session", { 7, 0, 0, 0 });
	TREE("a session leader and its child", { 7, 0, 7, 7 }, { 8, 7, 7, 7 });
	TREE("a shell with two pipelines", { 7, 0, 7, 7 }, { 8, 7, 8, 7 },
	     { 9, 7, 8, 7 }, { 10, 7, 10, 7 }, { 11, 10, 10, 7 });
	TREE("a child born before its parent's setsid", { 7, 0, 0, 0 },
	     { 8, 7, 8, 8 }, { 9, 8, 0, 0 });
	TREE("setsid by a grandchild, its child born before it", { 7, 0, 7, 7 },
	     { 8, 7, 8, 8 }, { 9, 8, 9, 9 }, { 10, 9, 7, 7 });
	TREE("a daemon that led its session itself", { 7, 0, 7, 7 },
	     { 9, 1, 9, 9 }, { 10, 9, 9, 9 });
	TREE("a daemon whose session leader is dead", { 7, 0, 7, 7 },
	     { 9, 1, 8, 8 }, { 11, 1, 8, 8 }, { 12, 1, 12, 8 });
	TREE("an orphan in the session of the living root", { 7, 0, 7, 7 },
	     { 9, 1, 7, 7 }, { 10, 1, 10, 7 });
	TREE("an orphan in the session of another orphan", { 7, 0, 7, 7 },
	     { 8, 1, 9, 9 }, { 9, 1, 9, 9 });
	TREE("orphans of the outer session", { 7, 0, 0, 0 }, { 9, 1, 0, 0 },
	     { 10, 1, 10, 0 });
	TREE("a group whose leader is dead", { 7, 0, 7, 7 }, { 9, 7, 8, 7 },
	     { 10, 7, 8, 7 });
	TREE("a group whose leader went to another", { 7, 0, 7, 7 },
	     { 8, 7, 9, 7 }, { 9, 7, 9, 7 }, { 10, 7, 8, 7 });
	TREE("numbers that helpers would take", { 7, 0, 7, 7 },
	     { 32767, 1, 7, 7 }, { 32766, 1, 32765, 7 });
}

static void test_refusals(void)
{
	NO_TREE("no root", -EBADMSG, { 7, 1, 7, 7 });
	NO_TREE("two roots", -EBADMSG, { 7, 0, 7, 7 }, { 8, 0, 8, 8 });
	NO_TREE("a number twice", -EBADMSG, { 7, 0, 7, 7 }, { 7, 1, 7, 7 });
	NO_TREE("a child before its parent", -EBADMSG, { 8, 7, 7, 7 },
		{ 7, 0, 7, 7 });
	NO_TREE("its own parent", -EBADMSG, { 7, 0, 7, 7 }, { 8, 8, 7, 7 });
	NO_TREE("a root in a session of nobody", -ENOTSUP, { 7, 0, 5, 5 });
	NO_TREE("a session that the parent was never in", -ENOTSUP,
		{ 7, 0, 7, 7 }, { 8, 7, 7, 7 }, { 9, 8, 6, 6 });
	NO_TREE("children of two earlier sessions", -ENOTSUP, { 7, 0, 7, 7 },
		{ 8, 7, 8, 8 }, { 9, 8, 5, 5 }, { 10, 8, 6, 6 });
	NO_TREE("a group across sessions", -ENOTSUP, { 7, 0, 7, 7 },
		{ 8, 7, 8, 8 }, { 9, 7, 8, 7 });
	NO_TREE("a session leader outside its group", -EBADMSG, { 7, 0, 7, 7 },
		{ 8, 7, 7, 8 });
	NO_TREE("a session its leader has left", -ENOTSUP, { 7, 0, 7, 7 },
		{ 8, 7, 7, 7 }, { 9, 1, 8, 8 });
}

int main(void)
{
	test_trees();
	test_refusals();
	return done_testing();
}
