// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Directories of the job's user on a file system of the node, in which it has
 * files, or is itself.  On another node they are made again, by the user.
 */
#include "resource/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "resource/file_image.h"
#include "resource/file_local.h"
#include "resource/restore.h"
#include "storage/as_user.h"
#include "util/cleanup.h"

static int put_one(const struct dump_ctx *ctx, const struct task_view *task,
		   const char *path, struct err *err)
{
	DirectoryRecord rec = DIRECTORY_RECORD__INIT;
	auto_close int fd = -EBADF;
	struct err unused;
	struct stat st;
	bool first;
	int r;

	fd = file_open_for_task(task, path,
				O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
				&unused);
	/* A link on the way, or what the user's rights do not reach. */
	if (fd < 0 || fstat(fd, &st) < 0 ||
	    !file_place_is_local(ctx, task, path, fd, &st))
		return 0;
	r = object_get(ctx->objects, OBJECT_DIRECTORY, st.st_dev, st.st_ino, 0,
		       &rec.object, &first, err);
	if (r < 0 || !first)
		return r;
	rec.path.data = (uint8_t *)path;
	rec.path.len = strlen(path);
	rec.mode = st.st_mode & 07777;
	return img_put(ctx->out, TAG_DIRECTORY, &rec.base, err);
}

int directories_put(const struct dump_ctx *ctx, const struct task_view *task,
		    const char *path, struct err *err)
{
	auto_free char *part = strdup(path);
	int r = 0;

	if (!part)
		return err_num(err, ENOMEM, "path");
	if (!ctx->options->local || *part != '/')
		return 0;
	for (char *at = part + 1; r == 0 && (at = strchr(at, '/')); at++) {
		*at = '\0';
		r = put_one(ctx, task, part, err);
		*at = '/';
	}
	return r;
}

/* Where it lies, opened with the owner's rights, and its name there. */
static int open_parent(const struct restore_ctx *ctx,
		       const DirectoryRecord *rec, char path[PATH_MAX],
		       const char **ret_name, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_free char *was =
		strndup((const char *)rec->path.data, rec->path.len);
	char *slash;
	int r;

	if (!was)
		return err_num(err, ENOMEM, "path");
	if (rec->mode & ~07777u || *was != '/')
		return err_set(err, -EBADMSG, "is no directory");
	r = e->map_path(e->arg, was, path, err);
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	if (!slash || !slash[1])
		return err_set(err, -EBADMSG, "is no directory");
	*slash = '\0';
	*ret_name = slash + 1;
	return e->open_here(e->arg, slash == path ? "/" : path,
			    O_PATH | O_DIRECTORY | O_CLOEXEC, 0, err);
}

/* 1: made; 0: it was there.  *ret_fd then is open. */
static int make(int parent, const char *name, mode_t mode, int *ret_fd,
		struct err *err)
{
	if (mkdirat(parent, name, 0700) < 0)
		return errno == EEXIST ? 0 : err_sys(err, "mkdir");
	if (fchmodat(parent, name, mode | 0700, 0) < 0)
		return err_sys(err, "chmod");
	*ret_fd = openat(parent, name,
			 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, "open it") : 1;
}

static int directory_restore(struct restore_ctx *ctx,
			     const ProtobufCMessage *msg, struct err *err)
{
	const DirectoryRecord *rec = (const DirectoryRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	auto_close int parent = -EBADF;
	const char *name = "";
	char path[PATH_MAX];
	int fd = -1, r;

	parent = open_parent(ctx, rec, path, &name, err);
	r = parent < 0 ? parent : as_user(&user, err);
	if (r == 0) {
		r = make(parent, name, rec->mode, &fd, err);
		as_root();
	}
	if (r < 0)
		return err_wrap(err, r, "directory %.*s", (int)rec->path.len,
				(const char *)rec->path.data);
	if (!r)
		return 0;
	r = e->set_fd(e->arg, rec->object, fd, err);
	if (r < 0)
		close(fd);
	return r;
}

/* The user may have had no right to make files in it. */
static int directory_finish(struct restore_ctx *ctx, struct restore_task *task,
			    struct restore_thread *thread,
			    const ProtobufCMessage *msg, struct err *err)
{
	const DirectoryRecord *rec = (const DirectoryRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	int fd = e->get_fd(e->arg, rec->object), r;
	char path[32];

	if (fd < 0 || (rec->mode & 0700) == 0700)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = as_user(&user, err);
	if (r < 0)
		return r;
	r = chmod(path, rec->mode) < 0 ? err_sys(err, "chmod") : 0;
	as_root();
	return r;
}

/* One that has something in it stays. */
static void directory_undo(struct restore_ctx *ctx, const ProtobufCMessage *msg)
{
	const DirectoryRecord *rec = (const DirectoryRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	auto_close int parent = -EBADF;
	const char *name = "";
	char path[PATH_MAX];
	struct err unused;

	if (e->get_fd(e->arg, rec->object) < 0)
		return;
	parent = open_parent(ctx, rec, path, &name, &unused);
	if (parent < 0 || as_user(&user, &unused) < 0)
		return;
	(void)unlinkat(parent, name, AT_REMOVEDIR);
	as_root();
}

const struct resource_ops res_directory = {
	.name = "directory",
	.saved = "the user's own in LocalDirs and on tmpfs, in which the job "
		 "is or has files",
	.tag = TAG_DIRECTORY,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = directory_restore,
	.undo_file = directory_undo,
	.stage2 = STAGE_LAST,
	.restore2 = directory_finish,
};
