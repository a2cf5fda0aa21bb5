/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_MEMBERS_H
#define JOBCR_ENGINE_MEMBERS_H

#include "engine/freeze.h"

/*
 * The pids of all members as they are now, in no order, zombies too (but
 * none that waits for init); owned by the caller.  all: look through the
 * whole of /proc as well, for those who entered the namespace from outside;
 * without it only descendants are found, which is quick.
 */
int members_list(const struct tree_members *members, bool all, pid_t **ret,
		 size_t *ret_count, struct err *err);

/* -ESRCH, with the words for it: nothing is left of the job. */
int members_ended(struct err *err);

/* Open and read one member.  -ESRCH: it is gone. */
int members_open(pid_t pid, struct frozen_task *ret, struct err *err);

/* Parents first, elder siblings before younger ones. */
int members_sort(struct frozen_tree *tree, struct err *err);

/*
 * Whether all threads of the process have ended.  /proc cannot tell: while a
 * thread executes a program, the leader that it replaces looks like a zombie.
 */
bool members_over(int pidfd);

#endif
