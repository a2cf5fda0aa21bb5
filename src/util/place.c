/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/place.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define MOUNTS_MAX (1u << 20)

/* Does a comma-separated list hold the item? */
static bool has_item(const char *list, const char *item, size_t len)
{
	for (; list; list = strchr(list, ',')) {
		if (*list == ',')
			list++;
		if (!strncmp(list, item, len) &&
		    (list[len] == ',' || list[len] == '\0' ||
		     list[len] == '\n'))
			return true;
	}
	return false;
}

/*
 * One line of mountinfo: is it where the hierarchy of controllers (empty:
 * cgroup2) is mounted?  Then the directory of path in it.
 */
static bool cgroup_dir(char *line, const char *controllers, const char *path,
		       char *ret, size_t room)
{
	size_t first = strcspn(controllers, ",");
	char root[1024], at[1024], type[32], super[1024];
	char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*s %*s %*s %1023s %1023s", root, at) != 2 ||
	    sscanf(rest, " - %31s %*s %1023s", type, super) != 2)
		return false;
	if (*controllers ? strcmp(type, "cgroup") != 0 ||
				   !has_item(super, controllers, first)
			 : strcmp(type, "cgroup2") != 0)
		return false;
	if (strcmp(root, "/") != 0) {
		size_t len = strlen(root);

		if (strncmp(path, root, len) != 0)
			return false;
		path += len;
	}
	snprintf(ret, room, "%s%s/cgroup.procs", at, path);
	return true;
}

static void join(const char *mounts, const char *controllers, const char *path,
		 pid_t pid)
{
	char line[4096], file[2200], text[16];
	const char *p, *end;
	struct err unused;

	for (p = mounts; (end = strchr(p, '\n')); p = end + 1) {
		auto_close int fd = -1;

		snprintf(line, sizeof(line), "%.*s", (int)(end - p), p);
		if (!cgroup_dir(line, controllers, path, file, sizeof(file)))
			continue;
		fd = open(file, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		snprintf(text, sizeof(text), "%d", pid);
		if (write_all(fd, text, strlen(text), &unused) == 0)
			return;
	}
}

void place_like(pid_t pid, pid_t like)
{
	auto_free char *mounts = NULL, *cgroups = NULL;
	char *line, *next, path_of[64];
	struct err unused;
	cpu_set_t cpus;

	snprintf(path_of, sizeof(path_of), "/proc/%d/cgroup", like);
	if (sched_getaffinity(like, sizeof(cpus), &cpus) == 0)
		sched_setaffinity(pid, sizeof(cpus), &cpus);
	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &mounts,
			 NULL, &unused) < 0 ||
	    read_file_at(AT_FDCWD, path_of, 65536, &cgroups, NULL, &unused) < 0)
		return;
	for (line = cgroups; *line; line = next) {
		char *list, *path;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		list = strchr(line, ':');
		path = list ? strchr(list + 1, ':') : NULL;
		if (!path || !strcmp(path + 1, "/"))
			continue;
		*path++ = '\0';
		/* A named hierarchy shows as name=X in both places. */
		join(mounts, list + 1, path, pid);
	}
}
