/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_DOORS_H
#define JOBCR_ENGINE_DOORS_H

#include "engine/collect.h"

/*
 * Sockets of a tree at which somebody waits to be accepted.  What such a
 * client has sent nobody can read before that, so the tree cannot be saved;
 * but when all others stand still, those who listen will have accepted all of
 * them soon.  So they are stopped last.
 */
struct door { /* one of its holders: who shares it has one as well */
	pid_t pid, ns_pid;
	int fd; /* its number there */
	ino_t ino;
};

struct doors {
	struct door *list; /* owned: doors_done */
	size_t count;
	pid_t *clients; /* inner: who has waited at one of them, owned */
	size_t nclients;
};

/*
 * Look at a tree that stands still and that was refused so.  What was known
 * from before stays: it will be met again.
 */
int doors_find(struct doors *d, const struct collection *c,
	       const struct refusals *no, struct err *err);

/* Has this process one of them open, without being a client? */
bool doors_has(const struct doors *d, pid_t pid);

/* Does somebody wait at one of them now? */
bool doors_busy(const struct doors *d);

void doors_done(struct doors *d);

/* Parts of these.  Of one that listens, poll tells whether somebody waits. */
bool doors_is_busy(int fd);
bool doors_has_client(const struct doors *d, pid_t ns_pid);

#endif
