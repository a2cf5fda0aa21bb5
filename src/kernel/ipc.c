// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/io.h"

static const struct {
	const char *list, *next_id;
} files[] = {
	[IPC_SHM] = { "/proc/sysvipc/shm", "/proc/sys/kernel/shm_next_id" },
	[IPC_SEM] = { "/proc/sysvipc/sem", "/proc/sys/kernel/sem_next_id" },
	[IPC_MSG] = { "/proc/sysvipc/msg", "/proc/sys/kernel/msg_next_id" },
};

int ipc_is_own(int proc_fd, bool *ret, struct err *err)
{
	struct stat theirs, own;
	int r = proc_stat_ns(proc_fd, "ipc", &theirs, err);

	if (r < 0)
		return err_wrap(err, r == -ENOENT ? -ESRCH : r,
				"IPC namespace");
	if (stat("/proc/thread-self/ns/ipc", &own) < 0)
		return err_sys(err, "own IPC namespace");
	*ret = theirs.st_ino == own.st_ino && theirs.st_dev == own.st_dev;
	return 0;
}

int ipc_enter(int proc_fd, struct ipc_visit *ret, struct err *err)
{
	auto_close int theirs = openat(proc_fd, "ns/ipc", O_RDONLY | O_CLOEXEC);
	auto_close int own =
		open("/proc/thread-self/ns/ipc", O_RDONLY | O_CLOEXEC);

	ret->own = -1;
	if (theirs < 0)
		return err_num(err, errno == ENOENT ? ESRCH : errno,
			       "IPC namespace");
	if (own < 0)
		return err_sys(err, "own IPC namespace");
	if (setns(theirs, CLONE_NEWIPC) < 0)
		return err_sys(err, "enter the job's IPC namespace");
	ret->own = take_fd(&own);
	return 0;
}

void ipc_leave(struct ipc_visit *visit)
{
	if (visit->own < 0)
		return;
	if (setns(visit->own, CLONE_NEWIPC) < 0)
		abort();
	close(visit->own);
	visit->own = -1;
}

static int compare_ids(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int ipc_list(enum ipc_kind kind, int **ret_ids, size_t *ret_count,
	     struct err *err)
{
	auto_fclose FILE *f = fopen(files[kind].list, "re");
	auto_free char *line = NULL;
	auto_free int *ids = NULL;
	size_t count = 0, room = 0, size = 0;
	int id;

	*ret_ids = NULL;
	*ret_count = 0;
	/* A kernel without System V IPC has no objects. */
	if (!f && errno == ENOENT)
		return 0;
	if (!f)
		return err_sys(err, "%s", files[kind].list);
	while (getline(&line, &size, f) >= 0) {
		if (sscanf(line, "%*d %d", &id) != 1)
			continue;
		if (count == room) {
			int *more =
				reallocarray(ids, 2 * room + 16, sizeof(*ids));

			if (!more)
				return err_num(err, ENOMEM, "%s",
					       files[kind].list);
			ids = more;
			room = 2 * room + 16;
		}
		ids[count++] = id;
	}
	if (count)
		qsort(ids, count, sizeof(*ids), compare_ids);
	*ret_ids = take_ptr(ids);
	*ret_count = count;
	return 0;
}

int ipc_set_next_id(enum ipc_kind kind, int id, struct err *err)
{
	auto_close int fd = open(files[kind].next_id, O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", id);
	int r;

	if (fd < 0)
		return err_sys(err, "%s", files[kind].next_id);
	r = write_all(fd, text, (size_t)n, err);
	return r < 0 ? err_wrap(err, r, "%s", files[kind].next_id) : 0;
}

int ipc_limit(const char *name, unsigned int n, uint64_t *ret, struct err *err)
{
	auto_free char *text = NULL;
	char path[64], *at, *end;
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/sys/%s", name);
	r = read_file_at(AT_FDCWD, path, 4096, &text, &len, err);
	if (r < 0)
		return r;
	for (at = text;; at = end) {
		*ret = strtoull(at, &end, 10);
		if (end == at)
			return err_set(err, -ENODATA, "%s: too short", path);
		if (n-- == 0)
			return 0;
	}
}
