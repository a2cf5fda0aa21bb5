// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files and directories that have a name, opened or only mapped.  Contents
 * stay where they are: at the restore a file must still be what it was.
 * Those of the node alone (options->carry), and memory of the node that has a
 * name (hugetlbfs, /dev/shm), travel with the snapshot.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "resource/build_id.h"
#include "resource/directory.h"
#include "resource/file_image.h"
#include "resource/file_local.h"
#include "resource/file_lock.h"
#include "resource/file_tail.h"
#include "resource/ghost_image.h"
#include "resource/open_file.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Of OBJECT_WRITTEN: not only known to be written, but on the list. */
#define TO_SYNC 1

static bool file_match(const struct fd_view *fd)
{
	mode_t mode = fd->stat->st_mode;

	if (fd->link[0] != '/' || file_system_refused(fd))
		return false;
	return S_ISREG(mode) || S_ISDIR(mode) ||
	       (S_ISLNK(mode) && (fd->flags & O_PATH));
}

static bool is_written(const struct fd_view *fd)
{
	return S_ISREG(fd->stat->st_mode) && !(fd->flags & O_PATH) &&
	       (fd->flags & O_ACCMODE) != O_RDONLY;
}

static bool is_on(const struct fd_view *fd, long magic)
{
	struct statfs fs;

	return fstatfs(fd->own_fd, &fs) == 0 && fs.f_type == magic;
}

/*
 * Of /proc only what anybody may open is opened again, and of processes only
 * what does not speak of their memory.
 */
static bool proc_file_kept(const struct fd_view *fd)
{
	static const char *const kept[] = {
		"",     "task",   "stat",   "statm",  "status",   "cmdline",
		"comm", "limits", "cgroup", "cpuset", "loginuid", "oom_score",
	};
	int pid, end = 0;

	if ((fd->flags & O_ACCMODE) != O_RDONLY && !(fd->flags & O_PATH))
		return false;
	if (sscanf(fd->link, "/proc/%d%n", &pid, &end) < 1)
		return !strncmp(fd->link, "/proc", 5);
	if (pid != fd->task->ns_pid)
		return false;
	if (fd->link[end] == '/')
		end++;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (!strcmp(fd->link + end, kept[i]))
			return true;
	return false;
}

static void check_name(const struct fd_view *fd, bool there,
		       struct refusals *no)
{
	const char *comm = fd->task->stat->comm;

	if (is_on(fd, PROC_SUPER_MAGIC) && !proc_file_kept(fd))
		refusals_add(no, fd->task->ns_pid, comm, fd->fd, "close it",
			     "%s is not kept", fd->link);
	else if (S_ISDIR(fd->stat->st_mode) && !fd->stat->st_nlink)
		refusals_add(no, fd->task->ns_pid, comm, fd->fd,
			     "close it, or make the directory again",
			     "removed directory %s", fd->link);
	else if (!there)
		refusals_add(no, fd->task->ns_pid, comm, fd->fd,
			     "close it, or put the file back at that path",
			     "%s is not at that path any more (removed with "
			     "another link left, replaced or mounted over)",
			     fd->link);
}

/*
 * Most is written back before the job is stopped; nobody waits for it.  To
 * open a file is seen by whoever watches it (inotify), so that is done for
 * mapped ones only.  To begin takes no error from the job's own description.
 */
static int begin_write_back(const struct fd_view *fd, struct err *err)
{
	auto_close int reader = -EBADF;

	if (fd->mapped) {
		reader = file_open_reader(fd, err);
		if (reader < 0)
			return reader;
	}
	/* Where it cannot be begun, the sync will do it. */
	(void)sync_file_range(fd->mapped ? reader : fd->own_fd, 0, 0,
			      SYNC_FILE_RANGE_WRITE);
	return 0;
}

/* Not by the job's own description: it would lose its write errors. */
static int sync_once(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_close int reader = -EBADF;
	uint32_t number;
	bool first;
	int r;

	r = object_get(ctx->objects, OBJECT_WRITTEN, fd->stat->st_dev,
		       fd->stat->st_ino, TO_SYNC, &number, &first, err);
	if (r < 0 || !first)
		return r;
	reader = file_open_reader(fd, err);
	return reader < 0 ? reader : e->sync_later(e->arg, reader, err);
}

static int note_written(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct err *err)
{
	uint32_t number;
	bool first;

	if (!ctx->objects)
		return 0;
	return object_get(ctx->objects, OBJECT_WRITTEN, fd->stat->st_dev,
			  fd->stat->st_ino, 0, &number, &first, err);
}

/* A running job renames and removes: look again, by our own descriptor. */
static int find_again(const struct fd_view *old, bool *ret_there,
		      struct err *err)
{
	auto_close int proc = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	auto_free char *path = NULL, *link = NULL;
	struct fd_view fd = *old;
	char name[32];
	struct stat st;
	int r;

	snprintf(name, sizeof(name), "fd/%d", old->own_fd);
	if (proc < 0)
		return err_sys(err, "/proc/self");
	r = proc_read_link(proc, name, &link, err);
	if (r < 0)
		return r;
	if (fstat(old->own_fd, &st) < 0)
		return err_sys(err, "fstat");
	fd.link = link;
	fd.stat = &st;
	if (st.st_nlink || !S_ISREG(st.st_mode))
		return file_find(&fd, &path, ret_there, err);
	*ret_there = true;
	return 0;
}

/* Its contents come in a file that the restore makes. */
static bool is_put_in(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const char *path)
{
	return S_ISREG(fd->stat->st_mode) &&
	       (file_path_in(ctx->options->carry, path) ||
		hugetlb_of_file(fd->own_fd) || file_is_named_memory(ctx, fd));
}

static bool is_carried(const struct dump_ctx *ctx, const struct fd_view *fd,
		       const char *path)
{
	return is_put_in(ctx, fd, path) ||
	       (S_ISREG(fd->stat->st_mode) && file_is_local(ctx, fd, path));
}

static int file_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct refusals *no, struct err *err)
{
	auto_free char *path = NULL;
	bool there;
	int r;

	r = file_find(fd, &path, &there, err);
	if (r == 0 && !there && !fd->task->leader)
		r = find_again(fd, &there, err);
	if (r == 0)
		r = open_file_check_owner(ctx, fd, no, err);
	if (r == 0)
		r = file_lock_check(fd, is_put_in(ctx, fd, path), no, err);
	if (r == 0 && is_carried(ctx, fd, path))
		r = ghost_check_contents(ctx, fd, no, err);
	if (r < 0)
		return r;
	check_name(fd, there, no);
	file_check_outside(ctx, fd, no);
	file_local_check(ctx, fd, path, no);
	/* To open it may break a lease, or be watched: the job must not notice.
	 */
	if (!is_written(fd) || no->total)
		return 0;
	r = fd->task->leader ? 0 : begin_write_back(fd, err);
	return r < 0 ? r : note_written(ctx, fd, err);
}

static int put_directories(const struct dump_ctx *ctx, const struct fd_view *fd,
			   const char *path, struct err *err)
{
	auto_free char *whole = NULL;

	if (asprintf(&whole, "%s%s", path,
		     S_ISDIR(fd->stat->st_mode) ? "/" : "") < 0) {
		whole = NULL;
		return err_num(err, ENOMEM, "path");
	}
	return directories_put(ctx, fd->task, whole, err);
}

/* All of a directory of the job's own was saved before. */
static uint32_t private_contents(const struct dump_ctx *ctx,
				 const struct fd_view *fd)
{
	const dev_t dev = fd->stat->st_dev;
	const ino_t inode = fd->stat->st_ino;

	return S_ISREG(fd->stat->st_mode) &&
			       object_find(ctx->objects, OBJECT_PRIVATE, dev,
					   inode, 0)
		       ? object_find(ctx->objects, OBJECT_GHOST, dev, inode, 0)
		       : 0;
}

static int file_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct err *err)
{
	auto_free char *path = NULL;
	uint32_t ghost = 0;
	bool there;
	int r;

	r = file_find(fd, &path, &there, err);
	if (r < 0)
		return r;
	if (!there)
		return err_set(err, -ENOTSUP, "%s is not there any more",
			       fd->link);
	if (is_written(fd)) {
		r = sync_once(ctx, fd, err);
		if (r < 0)
			return r;
	}
	r = put_directories(ctx, fd, path, err);
	ghost = private_contents(ctx, fd);
	if (r == 0 && !ghost && is_carried(ctx, fd, path))
		r = ghost_put(ctx, fd, path, true, &ghost, err);
	if (r < 0)
		return r;
	return file_put(ctx, fd, path, ghost, err);
}

static bool same_build(int fd, const FileRecord *rec)
{
	uint8_t id[BUILD_ID_MAX];

	return build_id_read(fd, id) == rec->build_id.len &&
	       !memcmp(id, rec->build_id.data, rec->build_id.len);
}

static int verify_input(int fd, const FileRecord *rec, const struct stat *st,
			struct err *err)
{
	int64_t mtime = (int64_t)st->st_mtim.tv_sec * (int64_t)NSEC_PER_SEC +
			st->st_mtim.tv_nsec;

	if (rec->has_build_id && !same_build(fd, rec))
		return err_set(err, -ESTALE,
			       "is another build than the one that ran: put "
			       "that one back (CarryFiles in jobcr.conf "
			       "keeps a copy with each snapshot)");
	if ((uint64_t)st->st_size != rec->size)
		return err_set(err, -ESTALE, "has %lld bytes now, not %llu",
			       (long long)st->st_size,
			       (unsigned long long)rec->size);
	if (!rec->has_build_id && mtime != rec->mtime_ns)
		return err_set(err, -ESTALE, "was changed after the snapshot");
	return 0;
}

static int verify_output(int fd, const FileRecord *rec, const struct stat *st,
			 struct err *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return err_sys(err, "fstatfs");
	if ((uint32_t)fs.f_type != rec->fs_magic)
		return err_set(err, -ESTALE,
			       "is on a file system of another "
			       "kind (%#x, not %#x)",
			       (uint32_t)fs.f_type, rec->fs_magic);
	if ((uint64_t)st->st_size < rec->size)
		return err_set(err, -ESTALE, "has only %lld of %llu bytes",
			       (long long)st->st_size,
			       (unsigned long long)rec->size);
	return 0;
}

/* What was found at its path, and not contents that travelled. */
static bool is_found(const struct restore_ctx *ctx, const FileRecord *rec)
{
	const struct restore_engine *e = ctx->engine;
	const GhostRecord *ghost;

	if (!rec->has_ghost)
		return true;
	ghost = (const GhostRecord *)e->find(e->arg, TAG_GHOST, rec->ghost);
	return ghost && file_local_used(ghost, e->get_fd(e->arg, rec->ghost));
}

/* Its contents are the job's work. */
static bool is_output(const struct restore_ctx *ctx, const FileRecord *rec)
{
	return S_ISREG(rec->mode) && is_found(ctx, rec) &&
	       !(rec->open->flags & O_PATH) &&
	       rec->fs_magic != PROC_SUPER_MAGIC &&
	       rec->fs_magic != SYSFS_MAGIC &&
	       ((rec->open->flags & O_ACCMODE) != O_RDONLY || rec->written);
}

/* An image may say anything of what it was. */
static int verify_kind(const FileRecord *rec, const struct stat *st,
		       struct err *err)
{
	if (!S_ISREG(rec->mode) && !S_ISDIR(rec->mode) &&
	    !(S_ISLNK(rec->mode) && (rec->open->flags & O_PATH)))
		return err_set(err, -EBADMSG,
			       "is of no kind that is saved as a file");
	if ((st->st_mode & S_IFMT) != (rec->mode & S_IFMT))
		return err_set(err, -ESTALE, "is no %s any more",
			       S_ISREG(rec->mode)   ? "regular file"
			       : S_ISDIR(rec->mode) ? "directory"
						    : "link");
	return 0;
}

static int verify(int fd, const FileRecord *rec, struct err *err)
{
	bool writes = (rec->open->flags & O_ACCMODE) != O_RDONLY;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (!S_ISREG(rec->mode) || (rec->open->flags & O_PATH) ||
	    rec->fs_magic == PROC_SUPER_MAGIC || rec->fs_magic == SYSFS_MAGIC)
		return 0;
	if (writes || rec->written)
		return verify_output(fd, rec, &st, err);
	return verify_input(fd, rec, &st, err);
}

/*
 * A device is not even opened: the node's devices that the job may not use are
 * kept from it by its cgroup, which we are not in.
 */
static int look_at(const struct restore_ctx *ctx, const FileRecord *rec,
		   const char *path, struct stat *ret, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int flags =
		O_PATH | O_CLOEXEC | (open_file_flags(rec->open) & O_NOFOLLOW);
	auto_close int fd = -EBADF;

	/* Else what autofs mounts there would not be mounted yet. */
	if (S_ISDIR(rec->mode))
		flags |= O_DIRECTORY;
	fd = e->open_path(e->arg, path, flags, 0, err);
	if (fd < 0)
		return fd;
	return fstat(fd, ret) < 0 ? err_sys(err, "%s: fstat", path) : 0;
}

static int look_and_open(const struct restore_ctx *ctx, const FileRecord *rec,
			 const char *path, struct err *err)
{
	struct stat st;
	int r;

	r = look_at(ctx, rec, path, &st, err);
	if (r < 0)
		return r;
	r = verify_kind(rec, &st, err);
	if (r < 0)
		return err_wrap(err, r, "%s", path);
	return open_file_looked_at(ctx, path, open_file_flags(rec->open), &st,
				   err);
}

static int open_named(const struct restore_ctx *ctx, const FileRecord *rec,
		      const char *path, struct err *err)
{
	auto_close int fd = look_and_open(ctx, rec, path, err);
	int r;

	/* Opened for writing for the first time it may be another (overlayfs
	 * copies it up). */
	if (fd == -ESTALE)
		fd = look_and_open(ctx, rec, path, err);
	if (fd < 0)
		return fd;
	r = verify(fd, rec, err);
	if (r == 0 && is_output(ctx, rec))
		r = file_tail_check(ctx, rec, fd, err);
	if (r == 0)
		r = open_file_apply(fd, rec->open, err);
	return r < 0 ? err_wrap(err, r, "%s", path) : take_fd(&fd);
}

/*
 * Contents that travelled were made by us and may be opened at will.  What
 * was found at its path is opened with the rights of the user.
 */
static int open_ghost(const struct restore_ctx *ctx, const FileRecord *rec,
		      const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int handle = e->get_fd(e->arg, rec->ghost);
	auto_close int fd = -EBADF;
	const GhostRecord *ghost;
	struct stat made, found;
	int r;

	if (handle < 0)
		return err_set(err, -EBADMSG, "contents %u are not there",
			       rec->ghost);
	if (fstat(handle, &made) < 0)
		return err_sys(err, "fstat");
	ghost = (const GhostRecord *)e->find(e->arg, TAG_GHOST, rec->ghost);
	if (!S_ISREG(made.st_mode) || !ghost)
		return err_set(err, -EBADMSG, "object %u has no contents",
			       rec->ghost);
	if ((!made.st_nlink || ghost->origin) &&
	    (!ctx->owner->uid || made.st_uid == ctx->owner->uid))
		return open_file_again(handle, rec->open, err);
	r = look_at(ctx, rec, path, &found, err);
	if (r < 0)
		return r;
	if (found.st_dev != made.st_dev || found.st_ino != made.st_ino)
		return err_set(err, -ESTALE, "%s changes while it is opened",
			       path);
	fd = open_file_looked_at(ctx, path, open_file_flags(rec->open), &made,
				 err);
	if (fd < 0)
		return fd;
	r = open_file_apply(fd, rec->open, err);
	return r < 0 ? r : take_fd(&fd);
}

static int file_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			struct err *err)
{
	const FileRecord *rec = (const FileRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_free char *path =
		strndup((const char *)rec->path.data, rec->path.len);
	auto_close int fd = -EBADF;
	int r;

	if (!path)
		return err_num(err, ENOMEM, "path");
	fd = is_found(ctx, rec) ? open_named(ctx, rec, path, err)
				: open_ghost(ctx, rec, path, err);
	if (fd < 0)
		return fd;
	r = file_lock_restore(fd, rec, err);
	if (r < 0)
		return err_wrap(err, r, "%s", path);
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

/* The fill was the last write; now the time can be put back. */
static int set_ghost_time(const struct restore_ctx *ctx, uint32_t ghost,
			  struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const GhostRecord *rec =
		(const GhostRecord *)e->find(e->arg, TAG_GHOST, ghost);
	const int64_t second = NSEC_PER_SEC;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	char path[32];

	if (!rec || (rec->linked && !rec->origin) ||
	    file_local_used(rec, e->get_fd(e->arg, ghost)))
		return 0;
	times[1].tv_sec = rec->mtime_ns / second;
	times[1].tv_nsec = rec->mtime_ns % second;
	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		 e->get_fd(e->arg, ghost));
	if (utimensat(AT_FDCWD, path, times, 0) < 0)
		return err_sys(err, "set the time of an unlinked file");
	return 0;
}

static int file_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		     const ProtobufCMessage *msg, struct err *err)
{
	const FileRecord *rec = (const FileRecord *)msg;
	int r = 0;

	if (rec->has_ghost)
		r = set_ghost_time(ctx, rec->ghost, err);
	if (r == 0)
		r = open_file_late(ctx, task, fd, rec->open, err);
	if (r == 0)
		r = file_lock_late(ctx, task, fd, rec, err);
	return r;
}

static int file_finish(struct restore_ctx *ctx, struct restore_task *task,
		       struct restore_thread *thread,
		       const ProtobufCMessage *msg, struct err *err)
{
	const FileRecord *rec = (const FileRecord *)msg;
	const struct restore_engine *e = ctx->engine;

	if (!is_output(ctx, rec) || (rec->open->flags & O_ACCMODE) == O_RDONLY)
		return 0;
	return file_tail_cut(ctx, rec, e->get_fd(e->arg, rec->open->object),
			     err);
}

const struct resource_ops res_file = {
	.name = "file",
	.saved = "path, position, flags, locks, leases for reading; contents "
		 "where CarryFiles says so, on hugetlbfs, in /dev/shm, and of "
		 "the user's own in LocalDirs and on tmpfs",
	.refused = "files that are gone or that their user could not open "
		   "again, leases for writing, what is on a file system that "
		   "the job has mounted or that lets root not in",
	.tag = TAG_FILE,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = file_match,
	.check_file = file_check,
	.dump_file = file_dump,
	.restore_file = file_restore,
	.late_file = file_late,
	/* As late as can be, and before inotify forgets what it was told. */
	.stage2 = STAGE_LAST,
	.restore2 = file_finish,
};
