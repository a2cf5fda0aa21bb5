/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/inode_path.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MOUNTS_MAX (4u << 20)

/* The kernel writes blanks and backslashes of names as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; to++) {
		unsigned int code;
		int used = 0;

		if (*at == '\\' && sscanf(at, "\\%3o%n", &code, &used) == 1 &&
		    used == 4) {
			*to = (char)code;
			at += used;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

static int open_below(int root_fd, const char *path, int flags)
{
	return open_in_root(root_fd, path, flags, 0, RESOLVE_NO_MAGICLINKS);
}

static bool leads_to(int root_fd, const char *path, const struct stat *st)
{
	auto_close int fd = open_below(root_fd, path, O_PATH | O_NOFOLLOW);
	struct stat found;

	return fd >= 0 && fstat(fd, &found) == 0 &&
	       found.st_dev == st->st_dev && found.st_ino == st->st_ino;
}

/*
 * The kernel takes a mount by an open file or by the current directory.  A
 * directory that is opened is seen by whoever watches it; to stand in it is
 * not.
 */
static int open_handle_at(int mount_fd, struct file_handle *handle)
{
	auto_close int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (before < 0 || fchdir(mount_fd) < 0)
		return -1;
	fd = open_by_handle_at(AT_FDCWD, handle, O_PATH | O_CLOEXEC);
	if (fchdir(before) < 0)
		abort();
	return fd;
}

/* 0: not by this mount. */
static int try_mount(int root_fd, const char *point, struct file_handle *handle,
		     char **ret, struct err *err)
{
	auto_close int self = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	auto_close int mount = open_below(root_fd, point, O_PATH | O_DIRECTORY);
	auto_close int fd = -EBADF;
	auto_free char *path = NULL;
	char name[32];
	struct stat st;
	int r;

	if (self < 0)
		return err_sys(err, "/proc/self");
	if (mount < 0)
		return 0;
	fd = open_handle_at(mount, handle);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	snprintf(name, sizeof(name), "fd/%d", fd);
	r = proc_read_link(self, name, &path, err);
	if (r < 0)
		return r;
	if (path[0] != '/' || !leads_to(root_fd, path, &st))
		return 0;
	*ret = take_ptr(path);
	return 1;
}

int inode_path(int proc_fd, dev_t device, struct file_handle *handle,
	       char **ret, struct err *err)
{
	auto_close int root_fd = openat(proc_fd, "root", O_PATH | O_CLOEXEC);
	auto_free char *mounts = NULL;
	char *line, *next;
	size_t len;
	int r;

	if (root_fd < 0)
		return err_num(err, ESRCH, "open root");
	r = read_file_at(proc_fd, "mountinfo", MOUNTS_MAX, &mounts, &len, err);
	if (r < 0)
		return r;
	for (line = mounts; line; line = next) {
		unsigned int major, minor;
		int at = 0, end = 0;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "%*d %*d %u:%u %*s %n%*s%n", &major, &minor,
			   &at, &end) != 2 ||
		    !end || makedev(major, minor) != device)
			continue;
		line[end] = '\0';
		unescape(line + at);
		r = try_mount(root_fd, line + at, handle, ret, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return err_set(err, -ENOENT, "no path leads to it");
}
