/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define MOUNTS_MAX (1u << 20)
#define PROCS_MAX  (64u << 20)

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

int cgroup_has(const char *controllers, const char *name)
{
	return has_item(controllers, name, strlen(name));
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
	return (size_t)snprintf(ret, room, "%s%s", at, path) < room;
}

static bool is_usable(const char *dir)
{
	char file[CGROUP_PATH + 16];

	snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	return access(file, W_OK) == 0;
}

int cgroup_find(const char *controllers, const char *path, char *ret,
		size_t room)
{
	auto_free char *mounts = NULL;
	const char *p, *end;
	struct err unused;
	char line[4096];

	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &mounts,
			 NULL, &unused) < 0)
		return -ENOENT;
	/* One mount may hide another, or show other parts of the hierarchy. */
	for (p = mounts; (end = strchr(p, '\n')); p = end + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)(end - p), p);
		if (cgroup_dir(line, controllers, path, ret, room) &&
		    is_usable(ret))
			return 0;
	}
	return -ENOENT;
}

int cgroup_each(pid_t pid,
		int (*fn)(void *arg, const char *controllers, const char *path),
		void *arg, struct err *err)
{
	auto_free char *cgroups = NULL;
	char *line, *next, path_of[64];
	int r;

	snprintf(path_of, sizeof(path_of), "/proc/%d/cgroup", (int)pid);
	r = read_file_at(AT_FDCWD, path_of, 65536, &cgroups, NULL, err);
	for (line = cgroups; r == 0 && *line; line = next) {
		char *list, *path;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		list = strchr(line, ':');
		path = list ? strchr(list + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		r = fn(arg, list + 1, path);
	}
	return r;
}

int cgroup_list(const char *dir, pid_t **ret, size_t *ret_count,
		struct err *err)
{
	auto_free char *text = NULL;
	char file[CGROUP_PATH + 16], *p, *end;
	size_t len = 0, count = 0;
	pid_t *list;
	int r;

	snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	r = read_file_at(AT_FDCWD, file, PROCS_MAX, &text, &len, err);
	if (r < 0)
		return r;
	list = calloc(len / 2 + 1, sizeof(*list));
	if (!list)
		return err_num(err, ENOMEM, "%s", file);
	for (p = text; *p; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		/* 0: of a pid namespace that we do not see into. */
		if (pid > 0)
			list[count++] = (pid_t)pid;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

int cgroup_put(const char *dir, pid_t pid)
{
	char file[CGROUP_PATH + 16], text[16];
	auto_close int fd = -EBADF;
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) < 0)
		return -errno;
	return 0;
}
