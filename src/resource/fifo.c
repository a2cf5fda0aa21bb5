// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fifo that was removed can only be had with a name, which is taken from it
 * at once.  Where it was is best, since /proc shows that; but its directory
 * may be gone, too, and then any other will do.
 */
#include "resource/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "resource/directory.h"
#include "resource/file_local.h"
#include "storage/as_user.h"
#include "util/cleanup.h"

static const char deleted_mark[] = " (deleted)";

static bool is_removed(const struct fd_view *fd)
{
	return !fd->stat->st_nlink;
}

void fifo_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		struct refusals *no)
{
	const uint32_t owner = ctx->options->owner_uid;

	if (is_removed(fd) && owner && fd->stat->st_uid != owner)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "close it, or let the job make the fifo",
			     "removed fifo %s of user %u", fd->link,
			     (unsigned int)fd->stat->st_uid);
}

int fifo_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
	      PipeRecord *rec, struct err *err)
{
	const size_t mark = strlen(deleted_mark);

	rec->has_path = 1;
	rec->path.data = (uint8_t *)fd->link;
	rec->path.len = strlen(fd->link);
	rec->mode = fd->stat->st_mode & 0777;
	if (!is_removed(fd)) {
		rec->has_mode = file_place_is_local(ctx, fd->task, fd->link,
						    fd->own_fd, fd->stat);
		return directories_put(ctx, fd->task, fd->link, err);
	}
	if (rec->path.len > mark &&
	    !strcmp(fd->link + rec->path.len - mark, deleted_mark))
		rec->path.len -= mark;
	rec->has_removed = rec->removed = 1;
	rec->has_mode = 1;
	return 0;
}

/* As the user: where root may not, and with the right owner. */
static int make_at(const struct restore_ctx *ctx, int dir_fd, const char *name,
		   const PipeRecord *rec, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	int fd = -1, r;

	r = as_user(&user, err);
	if (r < 0)
		return r;
	if (mkfifoat(dir_fd, name, 0600) < 0) {
		r = err_sys(err, "mkfifo");
	} else {
		fd = openat(dir_fd, name,
			    O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			r = err_sys(err, "open a fifo");
		else if (fchmod(fd, rec->mode) < 0)
			r = err_sys(err, "fchmod");
		if (rec->removed || r < 0)
			(void)unlinkat(dir_fd, name, 0);
	}
	as_root();
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int make_in(const struct restore_ctx *ctx, const char *dir,
		   const char *name, const PipeRecord *rec, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int dir_fd = e->open_here(
		e->arg, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, err);
	auto_close int fd = -EBADF;
	char other[64];
	struct stat st;

	if (dir_fd < 0)
		return dir_fd;
	fd = make_at(ctx, dir_fd, name, rec, err);
	if (fd < 0 && rec->removed) {
		snprintf(other, sizeof(other), ".jobcr-fifo-%d", (int)getpid());
		fd = make_at(ctx, dir_fd, other, rec, err);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return err_set(err, -ESTALE, "a fifo changes while it is made");
	return take_fd(&fd);
}

static int make_again(const struct restore_ctx *ctx, const PipeRecord *rec,
		      const char *was, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const char *dirs[] = { NULL, "/tmp", "/var/tmp", "/dev/shm" };
	char path[PATH_MAX], *slash;
	auto_close int fd = -EBADF;
	int r;

	if (rec->mode & ~0777u)
		return err_set(err, -EBADMSG, "permissions %#o", rec->mode);
	r = e->map_path(e->arg, was, path, err);
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	if (!slash || !slash[1])
		return err_set(err, -EBADMSG, "is no path of a fifo");
	*slash = '\0';
	dirs[0] = slash == path ? "/" : path;
	fd = make_in(ctx, dirs[0], slash + 1, rec, err);
	for (size_t i = 1; rec->removed && i < ARRAY_SIZE(dirs) && fd < 0; i++)
		fd = make_in(ctx, dirs[i], slash + 1, rec, err);
	if (fd < 0)
		return err_wrap(err, fd, "make fifo %s again", was);
	return take_fd(&fd);
}

static int open_there(const struct restore_ctx *ctx, const char *path,
		      struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	struct stat st;
	int used = 0;

	fd = e->open_path(e->arg, path,
			  O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a fifo", path);
	if (ioctl(fd, FIONREAD, &used) < 0 || used)
		return err_set(err, -EBUSY, "fifo %s is in use", path);
	return take_fd(&fd);
}

int fifo_open(const struct restore_ctx *ctx, const PipeRecord *rec,
	      struct err *err)
{
	auto_free char *path =
		strndup((const char *)rec->path.data, rec->path.len);
	int r = 0;

	if (!path)
		return err_num(err, ENOMEM, "path");
	if (!rec->removed)
		r = open_there(ctx, path, err);
	return rec->removed || (r == -ENOENT && rec->has_mode)
		       ? make_again(ctx, rec, path, err)
		       : r;
}
