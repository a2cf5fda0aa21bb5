// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/private_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

static int open_below(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(__NR_openat2, root_fd, path, &how, sizeof(how));
}

static bool is_mount_root(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool has(const char *root, const char *path, const struct stat *st)
{
	auto_close int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = root_fd < 0 ? -1 : open_below(root_fd, path);
	struct stat node;

	return fd >= 0 && fstat(fd, &node) == 0 && node.st_dev == st->st_dev &&
	       node.st_ino == st->st_ino;
}

/* A daemon may have a /tmp of its own, which is not the node's. */
static bool node_has(const char *path, const struct stat *st)
{
	return has("/", path, st) || has("/proc/1/root", path, st);
}

static int open_private(int root_fd, const char *path, struct stat *ret)
{
	auto_close int fd = open_below(root_fd, path);

	if (fd < 0 || !is_mount_root(fd) || fstat(fd, ret) < 0 ||
	    node_has(path, ret))
		return -ENOENT;
	return take_fd(&fd);
}

int private_mount_open(int root_fd, const char *path, struct err *err)
{
	struct stat st;
	int fd = open_private(root_fd, path, &st);

	return fd < 0 ? err_set(err, fd, "%s is no mount of the job's own",
				path)
		      : fd;
}

static int add(struct private_mounts *m, const char *path, int fd,
	       const struct stat *st, struct err *err)
{
	struct private_mount *more =
		reallocarray(m->list, m->count + 1, sizeof(*more));
	auto_free char *copy = strdup(path);

	if (more)
		m->list = more;
	if (!more || !copy) {
		close(fd);
		return err_num(err, ENOMEM, "mounts");
	}
	m->list[m->count++] = (struct private_mount){
		.path = take_ptr(copy),
		.fd = fd,
		.dev = st->st_dev,
		.removed = !st->st_nlink,
	};
	return 0;
}

static bool is_known(const struct private_mounts *m, const char *path)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->list[i].path, path))
			return true;
	return false;
}

/* The topmost one on the way to dir: what is below it is its own affair. */
static int find_on_the_way(int root_fd, const char *dir,
			   struct private_mounts *m, struct err *err)
{
	auto_free char *path = strdup(dir);
	char *at = path;
	struct stat st;
	int fd;

	if (!path)
		return err_num(err, ENOMEM, "path");
	while (*at == '/')
		at++;
	while (*at) {
		char *end = at + strcspn(at, "/");
		char kept = *end;

		*end = '\0';
		if (is_known(m, path))
			return 0;
		fd = open_private(root_fd, path, &st);
		if (fd >= 0)
			return add(m, path, fd, &st, err);
		*end = kept;
		at = end + strspn(end, "/");
	}
	return 0;
}

int private_mounts_find(int root_fd, const char *const *dirs,
			struct private_mounts *ret, struct err *err)
{
	int r = 0;

	*ret = (struct private_mounts){ 0 };
	for (size_t i = 0; r == 0 && dirs[i]; i++)
		if (dirs[i][0] == '/')
			r = find_on_the_way(root_fd, dirs[i], ret, err);
	if (r < 0)
		private_mounts_done(ret);
	return r;
}

void private_mounts_done(struct private_mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->list[i].path);
		close(m->list[i].fd);
	}
	free(m->list);
	*m = (struct private_mounts){ 0 };
}
