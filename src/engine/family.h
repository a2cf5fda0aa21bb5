/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FAMILY_H
#define JOBCR_ENGINE_FAMILY_H

#include <stddef.h>
#include <stdint.h>

#include "images/task.pb-c.h"
#include "util/err.h"

/*
 * In which order a tree is born, so that every process ends up with its
 * parent, session and group.  Plain data: nothing is made here.
 *
 * A session is inherited at birth or begun by setsid, never joined; so a
 * child of another session than its parent's was born before the parent's
 * setsid.  A group can be joined, while it has a member.  Leaders that are
 * dead are played by helpers, which leave in the end; what a helper gave
 * birth to is then init's child.
 */

enum family_op {
	FAMILY_SPAWN,   /* who is born as a child of the supervisor */
	FAMILY_FORK,    /* who is born as a child of by */
	FAMILY_SETSID,  /* who leads a session */
	FAMILY_SETPGID, /* who joins group pgid; its own number: leads it */
	FAMILY_LEAVE,   /* helper who ends and is reaped by its parent */
};

#define FAMILY_NOBODY UINT32_MAX

struct family_step {
	enum family_op op;
	uint32_t who; /* a member */
	uint32_t by;  /* FORK: a member */
	int32_t pgid; /* SETPGID */
};

struct family_member {
	int32_t ns_pid;
	uint32_t parent;       /* a member, or FAMILY_NOBODY */
	int32_t session;       /* helpers: the one it is in, 0: outside */
	const TaskRecord *rec; /* borrowed; NULL: a helper */
};

/* The first count members are the tasks in their order. */
struct family {
	struct family_member *members;
	size_t nmembers;
	struct family_step *steps;
	size_t nsteps;
};

/*
 * tasks are borrowed: parents before their children, numbers unique.  taken
 * are all other numbers in use (threads), ascending.  -ENOTSUP names the
 * process whose session or group cannot be made; -EBADMSG: no tree.
 */
int family_plan(const TaskRecord *const *tasks, size_t count,
		const int32_t *taken, size_t ntaken, struct family *ret,
		struct err *err);
void family_done(struct family *family);

#endif
