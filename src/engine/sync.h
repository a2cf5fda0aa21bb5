/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_SYNC_H
#define JOBCR_ENGINE_SYNC_H

#include <stddef.h>

#include "util/err.h"

/*
 * Files that the job writes: they must be as durable as the snapshot that
 * speaks of them, but nobody has to stand still for that.
 */
struct sync_list {
	int *fds; /* owned: sync_done */
	size_t count, room;
};

/* fd is duplicated; where that cannot be it is synced at once. */
int sync_add(struct sync_list *list, int fd, struct err *err);

/* All of them, several at a time.  The first failure is told. */
int sync_run(struct sync_list *list, struct err *err);

void sync_done(struct sync_list *list);

#endif
