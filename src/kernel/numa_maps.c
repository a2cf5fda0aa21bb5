/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/numa_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static int add(struct numa_maps *numa, size_t *room, uint64_t address)
{
	if (numa->count == *room) {
		size_t more = *room ? 2 * *room : 64;
		uint64_t *p = reallocarray(numa->v, more, sizeof(*p));

		if (!p)
			return -ENOMEM;
		numa->v = p;
		*room = more;
	}
	numa->v[numa->count++] = address;
	return 0;
}

/* "ADDRESS POLICY ..." */
static int take_line(struct numa_maps *numa, size_t *room, const char *line)
{
	const char *policy = strchr(line, ' ');

	if (!policy || strncmp(policy, " default", 8) == 0)
		return 0;
	return add(numa, room, strtoull(line, NULL, 16));
}

int numa_maps_read(int proc_fd, struct numa_maps *ret, struct err *err)
{
	auto_close int fd = openat(proc_fd, "numa_maps", O_RDONLY | O_CLOEXEC);
	struct numa_maps numa = { 0 };
	auto_fclose FILE *f = NULL;
	auto_free char *line = NULL;
	size_t line_room = 0, room = 0;
	int r = 0;

	*ret = numa;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || !(f = fdopen(fd, "r")))
		return err_sys(err, "numa_maps");
	take_fd(&fd);
	/* Large reads: the kernel takes its lock anew for each. */
	(void)setvbuf(f, NULL, _IOFBF, 1 << 16);
	while (r == 0 && (errno = 0, getline(&line, &line_room, f)) > 0)
		r = take_line(&numa, &room, line);
	if (r == 0 && ferror(f))
		r = errno ? -errno : -EIO;
	if (r < 0) {
		free(numa.v);
		return err_num(err, r, "numa_maps");
	}
	*ret = numa;
	return 0;
}

void numa_maps_mark(const struct numa_maps *numa, struct vma_list *list)
{
	size_t at = 0;

	for (size_t i = 0; i < numa->count; i++) {
		while (at < list->count && list->v[at].end <= numa->v[i])
			at++;
		if (at < list->count && list->v[at].start <= numa->v[i])
			list->v[at].policy = 1;
	}
}
