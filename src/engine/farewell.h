/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FAREWELL_H
#define JOBCR_ENGINE_FAREWELL_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/*
 * Sockets of connections within the tree, held so that they do not end with
 * it.  Their ends would say goodbye to each other, and their addresses be
 * taken for a minute, while the job is restored.  Nothing is changed in the
 * sockets as long as the tree may go on: it is only we who have them last.
 */
struct farewell {
	int *fds; /* owned: farewell_end */
	size_t count, room;
};

/* fd is duplicated. */
int farewell_add(struct farewell *f, int fd, struct err *err);

/*
 * Let go of them: before the tree goes on, or, when it has ended, without
 * the goodbye.
 */
void farewell_end(struct farewell *f, bool ended);

#endif
