/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

int target_open(struct target *t, const char *path, bool force, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	char dir[4096];
	int fd;

	if (!*base || strlen(base) >= sizeof(t->base) ||
	    strlen(path) >= sizeof(dir))
		return err_set(err, -EINVAL, "%s: not the name of a file",
			       path);
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(base - path) : 1,
		 slash ? path : ".");
	snprintf(t->base, sizeof(t->base), "%s", base);
	snprintf(t->part, sizeof(t->part), ".%s.%d.part", base, (int)getpid());
	t->force = force;
	t->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir_fd < 0)
		return err_sys(err, "%s", dir);
	if (!force &&
	    faccessat(t->dir_fd, base, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EEXIST,
			       "%s: is there already (--force replaces it)",
			       path);
	fd = openat(t->dir_fd, t->part,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

/* Some file systems tell only now that there was no room. */
int target_commit(const struct target *t, int *fd, struct err *err)
{
	int r = 0;

	if (fsync(*fd) < 0 || close(take_fd(fd)) < 0)
		return err_sys(err, "%s", t->base);
	if (t->force)
		r = renameat(t->dir_fd, t->part, t->dir_fd, t->base);
	else
		r = linkat(t->dir_fd, t->part, t->dir_fd, t->base, 0);
	return r < 0 ? err_sys(err, "%s", t->base) : 0;
}

void target_done(struct target *t)
{
	if (t->dir_fd < 0)
		return;
	/* After a rename there is none. */
	(void)unlinkat(t->dir_fd, t->part, 0);
	close(t->dir_fd);
	t->dir_fd = -1;
}
