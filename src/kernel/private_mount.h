/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_PRIVATE_MOUNT_H
#define JOBCR_KERNEL_PRIVATE_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Directories that a job has for itself: where something is mounted in its
 * mount namespace that neither the caller's nor the node's has there.
 */
struct private_mount {
	char *path;
	int fd; /* O_PATH */
	dev_t dev;
	bool removed; /* its directory was taken away below the mount */
};

struct private_mounts {
	struct private_mount *list;
	size_t count;
};

/*
 * Those at these paths, or above them; dirs is NULL-terminated.  root_fd:
 * "/" of the job.  A path with a symbolic link in it is not followed.
 */
int private_mounts_find(int root_fd, const char *const *dirs,
			struct private_mounts *ret, struct err *err);
void private_mounts_done(struct private_mounts *m);

/* O_PATH, owned by the caller; -ENOENT: nothing of that kind is there. */
int private_mount_open(int root_fd, const char *path, struct err *err);

#endif
