/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/place.h"

#include <sched.h>
#include <string.h>

#include "util/cgroup.h"

static int join(void *arg, const char *controllers, const char *path)
{
	const pid_t *pid = arg;
	char dir[CGROUP_PATH];

	if (strcmp(path, "/") != 0 &&
	    cgroup_find(controllers, path, dir, sizeof(dir)) == 0)
		(void)cgroup_put(dir, *pid);
	return 0;
}

void place_like(pid_t pid, pid_t like)
{
	struct err unused;
	cpu_set_t cpus;

	if (sched_getaffinity(like, sizeof(cpus), &cpus) == 0)
		sched_setaffinity(pid, sizeof(cpus), &cpus);
	(void)cgroup_each(like, join, &pid, &unused);
}
