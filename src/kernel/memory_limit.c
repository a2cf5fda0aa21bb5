/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/memory_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PATH_SIZE  4096
#define MOUNTS_MAX (1u << 20)

/* Where a hierarchy is mounted, and what of it. */
struct mount {
	char root[1024], at[1024];
};

/* The path of a process in the hierarchy of a controller ("": cgroup2). */
static bool find_path(const char *cgroups, const char *controller, char *ret)
{
	char line[PATH_SIZE], list[1024];
	const char *p = cgroups, *end;

	for (; (end = strchr(p, '\n')); p = end + 1) {
		char *first, *second;

		snprintf(line, sizeof(line), "%.*s", (int)(end - p), p);
		first = strchr(line, ':');
		second = first ? strchr(first + 1, ':') : NULL;
		if (!second)
			continue;
		*second = '\0';
		snprintf(list, sizeof(list), ",%s,", first + 1);
		if (*controller ? strstr(list, controller) != NULL
				: !first[1]) {
			snprintf(ret, PATH_SIZE, "%s", second + 1);
			return true;
		}
	}
	return false;
}

/* One that shows the cgroup of that path; mounts may lie over others. */
static bool find_mount(const char *mounts, bool v1, const char *path,
		       struct mount *ret)
{
	char line[PATH_SIZE], type[32], super[1024];
	const char *p, *end;

	for (p = mounts; (end = strchr(p, '\n')); p = end + 1) {
		const char *rest;

		snprintf(line, sizeof(line), "%.*s", (int)(end - p), p);
		rest = strstr(line, " - ");
		if (!rest ||
		    sscanf(line, "%*s %*s %*s %1023s %1023s", ret->root,
			   ret->at) != 2 ||
		    sscanf(rest, " - %31s %*s %1023s", type, super) != 2)
			continue;
		if (!strcmp(ret->root, "/"))
			*ret->root = '\0';
		if (strncmp(path, ret->root, strlen(ret->root)) != 0)
			continue;
		if (v1 ? !strcmp(type, "cgroup") && strstr(super, "memory")
		       : !strcmp(type, "cgroup2"))
			return true;
	}
	return false;
}

/* A file of one number; "max" and what is not there are no limit. */
static uint64_t read_number(const char *dir, const char *name)
{
	auto_free char *text = NULL;
	char path[2 * PATH_SIZE];
	struct err unused;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, &unused) < 0 ||
	    *text < '0' || *text > '9')
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* v1: both together where swap is accounted, else memory alone says nothing. */
static uint64_t limit_v1(const char *dir)
{
	return read_number(dir, "memory.memsw.limit_in_bytes");
}

static uint64_t limit_v2(const char *dir)
{
	uint64_t memory = read_number(dir, "memory.max");
	uint64_t swap = read_number(dir, "memory.swap.max");

	return memory == UINT64_MAX || swap == UINT64_MAX ? UINT64_MAX
							  : memory + swap;
}

static uint64_t free_swap(void)
{
	auto_free char *text = NULL;
	struct err unused;
	const char *p;

	if (read_file_at(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL,
			 &unused) < 0)
		return UINT64_MAX;
	p = strstr(text, "\nSwapFree:");
	return p ? strtoull(p + 10, NULL, 10) * 1024 : 0;
}

/* Memory alone limits, too: the rest must find room in the node's swap. */
static uint64_t limit_of(const char *dir, bool v1)
{
	uint64_t memory =
		read_number(dir, v1 ? "memory.limit_in_bytes" : "memory.max");
	uint64_t both = v1 ? limit_v1(dir) : limit_v2(dir);
	uint64_t swap = free_swap();

	/* v1 writes "no limit" as a number of that kind. */
	if (memory >= INT64_MAX / 2 || swap >= UINT64_MAX / 4)
		memory = UINT64_MAX;
	else
		memory += swap;
	return least(memory, both >= INT64_MAX / 2 ? UINT64_MAX : both);
}

static void walk(const struct mount *m, char *path, bool v1, uint64_t *ret)
{
	char dir[PATH_SIZE + 1024];
	char *slash;

	path += strlen(m->root);
	for (;;) {
		snprintf(dir, sizeof(dir), "%s%s", m->at, path);
		*ret = least(*ret, limit_of(dir, v1));
		slash = strrchr(path, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

int memory_limit(pid_t pid, uint64_t *ret, struct err *err)
{
	auto_free char *mounts = NULL, *cgroups = NULL;
	char name[64], path[PATH_SIZE];
	struct mount m;
	bool v1;
	int r;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &mounts,
			 NULL, err);
	if (r == 0)
		r = read_file_at(AT_FDCWD, name, 65536, &cgroups, NULL, err);
	if (r < 0)
		return r;
	*ret = UINT64_MAX;
	v1 = find_path(cgroups, ",memory,", path);
	if ((v1 || find_path(cgroups, "", path)) &&
	    find_mount(mounts, v1, path, &m))
		walk(&m, path, v1, ret);
	return 0;
}
