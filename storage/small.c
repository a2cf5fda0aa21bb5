/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/small.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define NAME_SIZE 64

int small_create(int dir_fd, const char *name, const void *data, size_t len,
		 struct err *err)
{
	auto_close int fd = -EBADF;
	int r;

	/* A crash may have left one behind; O_EXCL keeps links out. */
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "%s: unlink", name);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_sys(err, "%s: create", name);
	r = write_all(fd, data, len, err);
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(err, "fsync");
	if (r < 0) {
		(void)unlinkat(dir_fd, name, 0);
		return err_wrap(err, r, "%s", name);
	}
	return 0;
}

static int replace(int dir_fd, const char *name, const void *data, size_t len,
		   struct err *err)
{
	char fresh[NAME_SIZE];
	int r, n = snprintf(fresh, sizeof(fresh), "%s.new", name);

	if (n < 0 || (size_t)n >= sizeof(fresh))
		return err_num(err, ENAMETOOLONG, "%s", name);
	r = small_create(dir_fd, fresh, data, len, err);
	if (r < 0)
		return r;
	if (renameat(dir_fd, fresh, dir_fd, name) < 0) {
		r = err_sys(err, "%s: rename", name);
		(void)unlinkat(dir_fd, fresh, 0);
		return r;
	}
	return fsync(dir_fd) < 0
		       ? err_sys(err, "%s: fsync of its directory", name)
		       : 0;
}

int small_write(int dir_fd, const struct user_id *user, const char *name,
		const void *data, size_t len, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = replace(dir_fd, name, data, len, err);
	end_as(user);
	return r;
}

static int read_start(int dir_fd, const char *name, char *ret, size_t room,
		      struct err *err)
{
	auto_close int fd = openat(
		dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 && errno != ELOOP)
		return err_sys(err, "%s", name);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s: not a regular file", name);
	while ((n = read(fd, ret + len, room - 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return err_sys(err, "%s: read", name);
	ret[len] = '\0';
	return 0;
}

int small_read(int dir_fd, const struct user_id *user, const char *name,
	       char *ret, size_t room, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = read_start(dir_fd, name, ret, room, err);
	end_as(user);
	return r;
}
