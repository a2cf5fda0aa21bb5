// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files without a name: their contents travel with the snapshot.  At the
 * restore a nameless file is made in the same directory, so that its space
 * is where it was; every description is opened from it.  It never gets a
 * name, so a restore that fails leaves none behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "resource/file_image.h"
#include "resource/file_local.h"
#include "resource/file_lock.h"
#include "resource/ghost_image.h"
#include "resource/ghost_make.h"
#include "resource/open_file.h"
#include "snapshot/snapshot.h"
#include "storage/as_user.h"
#include "util/cleanup.h"

static bool ghost_match(const struct fd_view *fd)
{
	return S_ISREG(fd->stat->st_mode) && fd->link[0] == '/' &&
	       file_is_unlinked(fd) && !file_system_refused(fd);
}

/* "/" stays; owned by the caller. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return NULL;
	return slash == path ? strdup("/")
			     : strndup(path, (size_t)(slash - path));
}

/* To the directory above it, if there is one; owned by the caller still. */
static bool go_up(char **dir)
{
	char *above = strcmp(*dir, "/") ? directory_of(*dir) : NULL;

	if (!above)
		return false;
	free(*dir);
	*dir = above;
	return true;
}

static bool is_missing(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

static bool is_owners(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	return !ctx->options->owner_uid ||
	       fd->stat->st_uid == ctx->options->owner_uid;
}

/* Such as a library that was replaced by a newer one: all may have it. */
static bool is_public(const struct fd_view *fd)
{
	return (fd->flags & O_ACCMODE) == O_RDONLY &&
	       (fd->stat->st_mode & S_IROTH);
}

/* May the user make files there again?  0, or a negative errno. */
static int try_directory(const struct fd_view *fd, const char *dir,
			 struct err *err)
{
	const struct proc_status *st = fd->task->status;
	struct user_id user = {
		.uid = st->uids[1],
		.gid = st->gids[1],
		.ngroups = st->ngroups,
		.groups = (gid_t *)st->groups,
	};
	auto_close int dir_fd = -EBADF;
	int r;

	dir_fd = file_open_for_task(fd->task, dir, O_PATH | O_DIRECTORY, err);
	if (dir_fd < 0)
		return dir_fd;
	r = as_user(&user, err);
	if (r < 0)
		return r;
	if (faccessat(dir_fd, "", W_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
		r = err_sys(err, "%s", dir);
	as_root();
	return r;
}

static int check_directory(const struct fd_view *fd, const char *path,
			   struct refusals *no, struct err *err)
{
	auto_free char *dir = directory_of(path);
	struct err why = { 0 };
	int r;

	if (!dir)
		return err_num(err, ENOMEM, "path");
	/* A program that cleans up removes directories, too. */
	do
		r = try_directory(fd, dir, &why);
	while (is_missing(r) && go_up(&dir));
	if (r < 0 && r != -ESRCH)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "close it, or make the directory again, for its "
			     "user to write",
			     "unlinked file %s, which cannot be made again "
			     "(%s)",
			     fd->link, why.text);
	return 0;
}

static int ghost_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct refusals *no, struct err *err)
{
	auto_free char *path = NULL;
	bool there;
	int r;

	r = file_find(fd, &path, &there, err);
	if (r == 0)
		r = open_file_check_owner(ctx, fd, no, err);
	if (r == 0)
		r = file_lock_check(fd, true, no, err);
	if (r == 0)
		r = ghost_check_contents(ctx, fd, no, err);
	if (r < 0)
		return r;
	file_check_outside(ctx, fd, no);
	/* Huge pages can be had without a directory. */
	if (is_owners(ctx, fd))
		return hugetlb_of_file(fd->own_fd)
			       ? 0
			       : check_directory(fd, path, no, err);
	if (!is_public(fd))
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "close it", "unlinked file %s belongs to user %u",
			     fd->link, (unsigned int)fd->stat->st_uid);
	return 0;
}

static int ghost_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct err *err)
{
	auto_free char *path = NULL;
	uint32_t ghost;
	bool there;
	int r;

	r = file_find(fd, &path, &there, err);
	/* What is another's is carried like files of the node: anywhere. */
	if (r == 0)
		r = ghost_put(ctx, fd, path, !is_owners(ctx, fd), &ghost, err);
	if (r < 0)
		return r;
	return file_put(ctx, fd, path, ghost, err);
}

static int unlink_as_owner(const struct restore_ctx *ctx, const char *dir,
			   const char *name, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	auto_close int dir_fd = -EBADF;
	int r;

	dir_fd = e->open_here(e->arg, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
			      err);
	if (dir_fd < 0)
		return dir_fd;
	r = as_user(&user, err);
	if (r < 0)
		return r;
	r = unlinkat(dir_fd, name, 0) < 0 ? err_sys(err, "unlink %s", name) : 0;
	as_root();
	return r;
}

static int make_and_unlink(const struct restore_ctx *ctx, const char *dir,
			   const char *name, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	auto_free char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return err_num(err, ENOMEM, "path");
	}
	fd = e->open_here(e->arg, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600, err);
	if (fd < 0)
		return fd;
	r = unlink_as_owner(ctx, dir, name, err);
	return r < 0 ? r : take_fd(&fd);
}

static int make_nameless(const struct restore_ctx *ctx, const char *dir,
			 struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd = e->open_here(e->arg, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600,
			      err);
	char name[64];

	if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL)
		return fd;
	snprintf(name, sizeof(name), ".jobcr-unlinked-%d", (int)getpid());
	return make_and_unlink(ctx, dir, name, err);
}

/* Under its old name for a moment if that is free: /proc still shows it. */
static int make_unlinked(const struct restore_ctx *ctx, const char *dir,
			 const char *path, struct err *err)
{
	auto_free char *at = strdup(dir);
	int fd;

	if (!at)
		return err_num(err, ENOMEM, "path");
	do {
		fd = make_and_unlink(ctx, at, strrchr(path, '/') + 1, err);
		if (fd < 0)
			fd = make_nameless(ctx, at, err);
	} while (is_missing(fd) && go_up(&at));
	return fd;
}

static int make_in_scratch(const struct restore_ctx *ctx, struct err *err)
{
	static const char *const dirs[] = { "/tmp", "/var/tmp", "/dev/shm" };
	int fd = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && fd < 0; i++)
		fd = make_nameless(ctx, dirs[i], err);
	return fd;
}

static int make_huge_memfd(const struct restore_ctx *ctx,
			   const GhostRecord *rec, const char *name,
			   struct err *err)
{
	auto_close int fd = -EBADF;
	char shorter[200];

	snprintf(shorter, sizeof(shorter), "%s", name);
	fd = memfd_create(shorter, MFD_CLOEXEC | MFD_HUGETLB |
					   hugetlb_flag(rec->page_size));
	if (fd < 0)
		return err_sys(err, "memfd of huge pages of %s",
			       hugetlb_name(rec->page_size));
	if (fchown(fd, ctx->owner->uid, ctx->owner->gid) < 0)
		return err_sys(err, "fchown");
	return take_fd(&fd);
}

/* Where it was, if there still are pages of that size; else in no directory. */
static int make_huge(const struct restore_ctx *ctx, const GhostRecord *rec,
		     const char *dir, const char *path, struct err *err)
{
	struct err ignored;
	auto_close int fd = rec->linked
				    ? make_nameless(ctx, dir, &ignored)
				    : make_unlinked(ctx, dir, path, &ignored);

	if (fd >= 0 && hugetlb_of_file(fd) == rec->page_size)
		return take_fd(&fd);
	return make_huge_memfd(ctx, rec, strrchr(path, '/') + 1, err);
}

static int make(const struct restore_ctx *ctx, const GhostRecord *rec,
		const char *path, struct err *err)
{
	auto_free char *dir = directory_of(path);
	auto_close int fd = -EBADF;

	if (!dir)
		return err_set(err, -EBADMSG, "is no absolute path");
	fd = rec->has_page_size ? make_huge(ctx, rec, dir, path, err)
	     : rec->linked      ? make_in_scratch(ctx, err)
				: make_unlinked(ctx, dir, path, err);
	if (fd < 0)
		return err_wrap(err, fd, "make an unlinked file again");
	if (!rec->linked)
		return ghost_make(ctx, rec, fd, err);
	return ghost_make_anybodys(ctx, rec, fd, err);
}

/* 1: the file of that name has these contents and is taken; else 0. */
static int use_existing(const struct restore_ctx *ctx, const GhostRecord *rec,
			const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	uint8_t digest[DIGEST_BYTES];
	auto_close int fd = -EBADF;
	struct err ignored;
	struct stat st;
	int r;

	fd = e->open_here(e->arg, path,
			  O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0,
			  &ignored);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != rec->size)
		return 0;
	if (file_digest(fd, rec->size, digest, &ignored) < 0 ||
	    rec->digest.len != sizeof(digest) ||
	    memcmp(digest, rec->digest.data, sizeof(digest)) != 0)
		return 0;
	r = e->set_data_fd(e->arg, rec->object, -1, err);
	if (r == 0)
		r = ghost_keep(ctx, rec, fd, err);
	return r < 0 ? r : 1;
}

/* Left by a run before this one; what it has is older, or does not count. */
static int remove_own(const struct restore_ctx *ctx, const GhostRecord *rec,
		      const char *dir, const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = e->open_here(
		e->arg, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, err);
	auto_free char *origin = NULL;
	int r;

	if (fd < 0)
		return fd;
	r = file_origin(fd, &origin, err);
	if (r < 0)
		return r;
	if (strcmp(origin, rec->origin) != 0)
		return err_set(err, -EEXIST,
			       "another file is there, perhaps of another job: "
			       "restore on another node, or remove it");
	return unlink_as_owner(ctx, dir, strrchr(path, '/') + 1, err);
}

static int make_named(const struct restore_ctx *ctx, const GhostRecord *rec,
		      const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
	auto_free char *dir = directory_of(path);
	auto_close int fd = -EBADF;
	struct err unused;
	int r = 0;

	if (!dir || rec->page_size != IMAGE_PAGE)
		return err_set(err, -EBADMSG, "is no path of a file");
	fd = e->open_here(e->arg, path, flags, 0600, err);
	if (fd == -EEXIST && !rec->local) {
		r = remove_own(ctx, rec, dir, path, err);
		if (r < 0)
			return r;
		fd = e->open_here(e->arg, path, flags, 0600, err);
	}
	if (fd < 0)
		return fd;
	/* At once: should we be killed, the next restore knows it. */
	file_note_origin(fd, rec->origin);
	r = ghost_make(ctx, rec, fd, err);
	if (r < 0)
		(void)unlink_as_owner(ctx, dir, strrchr(path, '/') + 1,
				      &unused);
	return r;
}

static int restore_local(const struct restore_ctx *ctx, const GhostRecord *rec,
			 const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	enum file_local_verdict verdict;
	int there, r;

	if (!rec->linked || !rec->origin)
		return err_set(err, -EBADMSG, "has no origin");
	r = file_local_decide(ctx, rec, path, &verdict, &there, err);
	if (r < 0)
		return r;
	if (verdict == FILE_LOCAL_MAKE)
		return make_named(ctx, rec, path, err);
	if (verdict == FILE_LOCAL_COPY) {
		e->remark(e->arg, REMARK_COPIED, path);
		return make(ctx, rec, path, err);
	}
	r = e->set_data_fd(e->arg, rec->object, -1, err);
	if (r < 0) {
		close(there);
		return r;
	}
	return e->set_fd(e->arg, rec->object, there, err);
}

static int ghost_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			 struct err *err)
{
	const GhostRecord *rec = (const GhostRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_free char *was =
		strndup((const char *)rec->path.data, rec->path.len);
	char path[PATH_MAX];
	int r;

	if (!was)
		return err_num(err, ENOMEM, "path");
	if (rec->in_private)
		return e->get_fd(e->arg, rec->object) < 0
			       ? err_set(err, -EBADMSG, "%s has no name", was)
			       : 0;
	/* Once for all: a name is removed from the directory it was made in. */
	r = e->map_path(e->arg, was, path, err);
	if (r < 0)
		return r;
	if (rec->local) {
		r = restore_local(ctx, rec, path, err);
		return r < 0 ? err_wrap(err, r, "%s", path) : 0;
	}
	if (rec->origin) {
		r = make_named(ctx, rec, path, err);
		return r < 0 ? err_wrap(err, r, "shared memory %s", path) : 0;
	}
	if (rec->linked)
		r = use_existing(ctx, rec, path, err);
	if (r == 0 && rec->linked)
		e->remark(e->arg, REMARK_COPIED, path);
	if (r == 0)
		r = make(ctx, rec, path, err);
	return r < 0 ? err_wrap(err, r, "contents of %s", path) : 0;
}

/* A name only, and only that of the file that was made. */
static void ghost_undo(struct restore_ctx *ctx, const ProtobufCMessage *msg)
{
	const GhostRecord *rec = (const GhostRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_free char *was =
		strndup((const char *)rec->path.data, rec->path.len);
	auto_free char *dir = NULL;
	auto_close int fd = -EBADF;
	int made = e->get_fd(e->arg, rec->object);
	char path[PATH_MAX];
	struct stat a, b;
	struct err unused;

	if (!rec->origin || made < 0 || file_local_used(rec, made) || !was ||
	    e->map_path(e->arg, was, path, &unused) < 0)
		return;
	dir = directory_of(path);
	fd = e->open_here(e->arg, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
			  &unused);
	if (!dir || fd < 0 || fstat(fd, &a) < 0 || fstat(made, &b) < 0 ||
	    a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return;
	(void)unlink_as_owner(ctx, dir, strrchr(path, '/') + 1, &unused);
}

const struct resource_ops res_ghost = {
	.name = "unlinked file",
	.saved = "contents, attributes, who shares them, also of huge pages",
	.tag = TAG_GHOST,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = ghost_match,
	.check_file = ghost_check,
	.dump_file = ghost_dump,
	.restore_file = ghost_restore,
	.undo_file = ghost_undo,
};
