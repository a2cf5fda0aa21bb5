/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_CGROUP_H
#define JOBCR_UTIL_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Control groups of both versions.  A hierarchy is named as a line of
 * /proc/PID/cgroup does: its controllers, "name=X" for one without, "" for
 * version 2.  A directory is where the caller's mounts show it.
 */
#define CGROUP_PATH 2048

/* Directory of a path in a hierarchy; -ENOENT: not mounted, or not ours. */
int cgroup_find(const char *controllers, const char *path, char *ret,
		size_t room);

/*
 * Each hierarchy that a process is in.  fn returns 0 to go on; what else it
 * returns is returned.
 */
int cgroup_each(pid_t pid,
		int (*fn)(void *arg, const char *controllers, const char *path),
		void *arg, struct err *err);

/* Does the comma-separated list name a controller? */
int cgroup_has(const char *controllers, const char *name);

/* Processes in a directory, not below it; owned by the caller: free. */
int cgroup_list(const char *dir, pid_t **ret, size_t *ret_count,
		struct err *err);

/* Put a process, with all its threads, into a directory; -ESRCH: it ended. */
int cgroup_put(const char *dir, pid_t pid);

#endif
