/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/where.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/tap.h"

/* A small file of /proc in one line, ',' for each end of a line. */
static void read_line(const char *dir, const char *name, char *buf, size_t size)
{
	char path[320];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	for (char *p = buf; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ',' : '\0';
}

static void tell(const char *dir)
{
	char stat[512], call[256], stack[512], times[128];
	const char *state;

	read_line(dir, "stat", stat, sizeof(stat));
	read_line(dir, "syscall", call, sizeof(call));
	read_line(dir, "stack", stack, sizeof(stack));
	read_line(dir, "schedstat", times, sizeof(times));
	state = strrchr(stat, ')');
	diag("%s: %.40s state %.1s, ran and waited %s, call %.60s, stack "
	     "%.240s",
	     dir, stat, state && state[1] ? state + 2 : "?", times, call,
	     stack);
}

void where_are(pid_t pid)
{
	char path[64], dir[320], kids[4096];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		char *rest = NULL;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(dir, sizeof(dir), "%s/%s", path, entry->d_name);
		tell(dir);
		read_line(dir, "children", kids, sizeof(kids));
		for (char *kid = strtok_r(kids, " ", &rest); kid;
		     kid = strtok_r(NULL, " ", &rest))
			where_are(atoi(kid));
	}
	if (tasks)
		closedir(tasks);
}
