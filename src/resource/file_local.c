// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A name is only taken where it is free.  What the job itself has left at a
 * path is known by its origin: it goes on with that where nothing has changed,
 * or where all that was added can be put aside.  What changed otherwise after
 * the snapshot, such as memory that processes share by a file, would not fit
 * to the rest of the job: it is renamed, and not lost.
 */
#include "resource/file_local.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel/hugetlb.h"
#include "resource/file_image.h"
#include "storage/as_user.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define NAMES_TRIED 100
#define ZFS_MAGIC   0x2fc12fc1

bool file_system_is_nodes(int fd)
{
	static const long kinds[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC,
		RAMFS_MAGIC,      ZFS_MAGIC,
	};
	struct statfs fs;

	for (size_t i = 0; fstatfs(fd, &fs) == 0 && i < ARRAY_SIZE(kinds); i++)
		if (fs.f_type == kinds[i])
			return true;
	return false;
}

/* A node without a disk has all of its system there. */
static bool is_root_file_system(const struct task_view *task,
				const struct stat *st)
{
	struct stat root;

	return fstatat(task->proc_fd, "root", &root, 0) < 0 ||
	       root.st_dev == st->st_dev;
}

bool file_place_is_local(const struct dump_ctx *ctx,
			 const struct task_view *task, const char *path,
			 int fd, const struct stat *st)
{
	const uint32_t owner = ctx->options->owner_uid;
	const char *const *local = ctx->options->local;
	struct statfs fs;

	if (!local || !local[0] || st->st_uid != owner || fstatfs(fd, &fs) < 0)
		return false;
	if (file_path_in(local, path))
		return file_system_is_nodes(fd);
	return fs.f_type == TMPFS_MAGIC && !is_root_file_system(task, st);
}

static bool is_written(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	return object_find(ctx->objects, OBJECT_WRITTEN, fd->stat->st_dev,
			   fd->stat->st_ino, 0) != 0;
}

bool file_is_local(const struct dump_ctx *ctx, const struct fd_view *fd,
		   const char *path)
{
	const struct dump_options *options = ctx->options;

	if (!S_ISREG(fd->stat->st_mode) || !fd->stat->st_nlink ||
	    hugetlb_of_file(fd->own_fd) || file_is_named_memory(ctx, fd) ||
	    file_path_in(options->carry, path) ||
	    file_path_in(options->stdio, path))
		return false;
	/* Its other names would be those of another file. */
	if (fd->stat->st_nlink > 1 && is_written(ctx, fd))
		return false;
	return file_place_is_local(ctx, fd->task, path, fd->own_fd, fd->stat);
}

void file_local_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const char *path, struct refusals *no)
{
	const uint64_t bytes = (uint64_t)fd->stat->st_blocks * 512;

	if (file_is_local(ctx, fd, path) && bytes > ctx->options->local_bytes)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "let it lie on a shared file system, or set "
			     "LocalFileSize in jobcr.conf higher",
			     "%s, a file of the node with %llu MiB, more than "
			     "%llu",
			     fd->link, (unsigned long long)(bytes >> 20),
			     (unsigned long long)(ctx->options->local_bytes >>
						  20));
}

int file_local_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		    GhostRecord *rec, struct err *err)
{
	const bool writes = !(fd->flags & O_PATH) &&
			    (fd->flags & O_ACCMODE) != O_RDONLY;

	rec->has_local = rec->local = 1;
	rec->has_written = 1;
	rec->written = is_written(ctx, fd);
	rec->has_appended = 1;
	rec->appended = writes && !fd->mapped &&
			((fd->flags & O_APPEND) ||
			 fd->position == fd->stat->st_size);
	return file_origin(fd->own_fd, &rec->origin, err);
}

bool file_local_used(const GhostRecord *rec, int handle)
{
	return rec->local && handle >= 0 && (fcntl(handle, F_GETFL) & O_PATH);
}

/* Memory of the node does not tell when it was changed by a mapping. */
static bool is_unchanged(const GhostRecord *rec, int fd, const struct stat *st)
{
	const int64_t second = NSEC_PER_SEC;
	struct statfs fs;

	if (rec->written &&
	    (fstatfs(fd, &fs) < 0 || fs.f_type == TMPFS_MAGIC))
		return false;
	return (uint64_t)st->st_size == rec->size &&
	       st->st_mtim.tv_sec * second + st->st_mtim.tv_nsec ==
		       rec->mtime_ns;
}

/* A lease for writing is only had by who has a file open alone. */
static int check_unused(const struct restore_ctx *ctx, const char *path,
			struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = e->open_here(
		e->arg, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0,
		err);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
		return 0;
	if (errno != EAGAIN)
		return err_sys(err, "ask who uses it");
	return err_set(err, -EBUSY,
		       "was changed after the snapshot and another process has "
		       "it open: end that, or restore with --files keep");
}

int file_local_aside(const struct restore_ctx *ctx, const char *path,
		     struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	const char *base = strrchr(path, '/') + 1;
	auto_free char *dir = strndup(path, (size_t)(base - path));
	auto_close int dir_fd = -EBADF;
	char name[PATH_MAX + 32];
	int r = -EEXIST;

	if (!dir)
		return err_num(err, ENOMEM, "path");
	dir_fd = e->open_here(e->arg, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
			      err);
	if (dir_fd < 0)
		return dir_fd;
	for (int i = 0; i < NAMES_TRIED && r == -EEXIST; i++) {
		int n = snprintf(name, sizeof(name), "%s.jobcr-%u", path,
				 ctx->generation);

		if (i)
			snprintf(name + n, sizeof(name) - (size_t)n, ".%d", i);
		r = as_user(&user, err);
		if (r < 0)
			return r;
		r = renameat2(dir_fd, base, dir_fd, name + (base - path),
			      RENAME_NOREPLACE) < 0
			    ? err_sys(err, "put aside as %s", name)
			    : 0;
		as_root();
	}
	if (r == 0)
		e->remark(e->arg, REMARK_ASIDE, name);
	return r;
}

/* The job's own, and it writes to it. */
static int decide_own(const struct restore_ctx *ctx, const GhostRecord *rec,
		      const char *path, bool unchanged,
		      enum file_local_verdict *ret, struct err *err)
{
	int r;

	*ret = FILE_LOCAL_USE;
	if (unchanged || rec->appended || ctx->files == FILES_KEEP)
		return 0;
	if (ctx->files == FILES_REFUSE)
		return err_set(err, -ESTALE,
			       "was changed after the snapshot: put it back, or "
			       "restore with another --files");
	r = check_unused(ctx, path, err);
	if (r == 0)
		r = file_local_aside(ctx, path, err);
	*ret = FILE_LOCAL_MAKE;
	return r;
}

int file_local_decide(const struct restore_ctx *ctx, const GhostRecord *rec,
		      const char *path, enum file_local_verdict *ret,
		      int *ret_fd, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = e->open_here(
		e->arg, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, err);
	auto_free char *origin = NULL;
	bool unchanged;
	struct stat st;
	int r;

	*ret_fd = -1;
	*ret = FILE_LOCAL_MAKE;
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (S_ISREG(st.st_mode)) {
		r = file_origin(fd, &origin, err);
		if (r < 0)
			return r;
	}
	unchanged = origin && is_unchanged(rec, fd, &st);
	if (!rec->written) {
		*ret = unchanged ? FILE_LOCAL_USE : FILE_LOCAL_COPY;
	} else if (origin && !strcmp(origin, rec->origin)) {
		r = decide_own(ctx, rec, path, unchanged, ret, err);
		if (r < 0)
			return r;
	} else {
		return err_set(err, -EEXIST,
			       "another file is there, perhaps of another job: "
			       "restore on another node, or remove it");
	}
	if (*ret == FILE_LOCAL_USE)
		*ret_fd = take_fd(&fd);
	return 0;
}
