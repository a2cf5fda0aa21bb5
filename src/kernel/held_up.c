/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/held_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* Calls that begin with the descriptor of what they wait for. */
static bool begins_with_file(long call)
{
	switch (call) {
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_syncfs:
	case SYS_sync_file_range:
	case SYS_read:
	case SYS_pread64:
	case SYS_readv:
	case SYS_preadv:
	case SYS_write:
	case SYS_pwrite64:
	case SYS_writev:
	case SYS_pwritev:
	case SYS_ftruncate:
	case SYS_fallocate:
	case SYS_fstat:
	case SYS_getdents64:
	case SYS_openat:
	case SYS_newfstatat:
	case SYS_mkdirat:
	case SYS_unlinkat:
	case SYS_renameat:
	case SYS_linkat:
		return true;
	default:
		return false;
	}
}

/* "NUMBER ARGUMENT...", or a word for a thread that is in no call. */
static bool read_call(int thread_fd, int *ret_fd)
{
	auto_free char *text = NULL;
	struct err ignored;
	char *end;
	long call;

	if (read_file_at(thread_fd, "syscall", 512, &text, NULL, &ignored) < 0)
		return false;
	call = strtol(text, &end, 10);
	if (end == text || *end != ' ' || !begins_with_file(call))
		return false;
	*ret_fd = (int)strtoul(end, NULL, 16);
	return *ret_fd >= 0;
}

/* By the thread: the process' own folder is empty when its first one is dead.
 */
static bool look_at(int tasks_fd, const char *tid, char *ret, size_t room)
{
	auto_close int thread_fd =
		openat(tasks_fd, tid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[32];
	ssize_t n;
	int fd;

	if (thread_fd < 0 || !read_call(thread_fd, &fd))
		return false;
	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	n = readlinkat(thread_fd, name, ret, room - 1);
	if (n <= 0 || ret[0] != '/')
		return false;
	ret[n] = '\0';
	return true;
}

bool held_up_at(pid_t pid, char *ret, size_t room)
{
	const struct dirent *e;
	bool found = false;
	char path[32];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir)))
		found = e->d_name[0] != '.' &&
			look_at(dirfd(dir), e->d_name, ret, room);
	if (dir)
		closedir(dir);
	return found;
}
