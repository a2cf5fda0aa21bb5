/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_PRIVATE_WALK_H
#define JOBCR_RESOURCE_PRIVATE_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "util/err.h"

/* All that is in a directory.  A helper of res_private_dir. */
struct private_item {
	int dir_fd;
	const char *name;         /* in dir_fd */
	const char *path;         /* below where the walk began */
	const struct statx *stat; /* with STATX_MNT_ID */
	bool end;                 /* a directory, after what is in it */
	bool mounted;             /* something is mounted there */
};

typedef int (*private_item_fn)(void *arg, const struct private_item *item,
			       struct err *err);

/*
 * Call fn for what belongs to owner, and for all mounts, which are not entered;
 * directories of others are, though fn is not called for them.  What goes
 * meanwhile is left out.  Stops when fn fails.  -E2BIG: there are more than
 * PRIVATE_MAX_ENTRIES; -ENAMETOOLONG: directories in directories without end.
 */
int private_walk(int root_fd, uid_t owner, private_item_fn fn, void *arg,
		 struct err *err);

#endif
