// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Root, current directory and umask of a process.  The directory is entered
 * last, by the restored process with the credentials it then has: it reaches
 * no place that its user could not reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "images/limits.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "resource/directory.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#define DELETED " (deleted)"

/* Is path, looked up from the task's own root, the directory of st? */
static bool leads_to(int proc_fd, const char *path, const struct stat *st)
{
	auto_close int root = openat(proc_fd, "root", O_PATH | O_CLOEXEC);
	auto_close int fd = -EBADF;
	struct stat found;

	if (root < 0)
		return false;
	fd = open_in_root(root, path, O_PATH | O_DIRECTORY, 0, 0);
	return fd >= 0 && fstat(fd, &found) == 0 &&
	       found.st_dev == st->st_dev && found.st_ino == st->st_ino;
}

struct cwd {
	char *path; /* owned */
	bool deleted;
	bool reachable;
};

/* A live directory may be named "x (deleted)": the link count decides. */
static int read_cwd(const struct task_view *task, struct cwd *ret,
		    struct err *err)
{
	auto_close int fd = openat(task->proc_fd, "cwd", O_PATH | O_CLOEXEC);
	auto_free char *path = NULL;
	struct stat st;
	size_t len, cut = strlen(DELETED);
	int r;

	if (fd < 0)
		return err_sys(err, "current directory");
	r = proc_stat_link(task->proc_fd, "cwd", &st, err);
	if (r == 0)
		r = proc_read_link(task->proc_fd, "cwd", &path, err);
	if (r < 0)
		return r;
	len = strlen(path);
	ret->deleted = st.st_nlink == 0;
	if (ret->deleted && len > cut && !strcmp(path + len - cut, DELETED))
		path[len - cut] = '\0';
	ret->reachable = path[0] == '/' &&
			 (ret->deleted || leads_to(task->proc_fd, path, &st));
	ret->path = take_ptr(path);
	return 0;
}

static int fs_check(const struct dump_ctx *ctx, const struct task_view *task,
		    struct refusals *no, struct err *err)
{
	auto_free char *root = NULL;
	struct cwd cwd = { 0 };
	int r;

	r = proc_read_link(task->proc_fd, "root", &root, err);
	if (r < 0)
		return r;
	if (strcmp(root, "/") != 0)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "run it without chroot",
			     "its root directory is %s", root);
	r = read_cwd(task, &cwd, err);
	if (r < 0)
		return r;
	if (!cwd.reachable)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "start it in a directory that stays mounted",
			     "its current directory cannot be reached by its "
			     "name %s",
			     cwd.path);
	free(cwd.path);
	return 0;
}

static int put_directories(const struct dump_ctx *ctx,
			   const struct task_view *task, const struct cwd *cwd,
			   struct err *err)
{
	auto_free char *path = NULL;

	if (cwd->deleted)
		return 0;
	if (asprintf(&path, "%s/", cwd->path) < 0) {
		path = NULL;
		return err_num(err, ENOMEM, "path");
	}
	return directories_put(ctx, task, path, err);
}

static int fs_dump(const struct dump_ctx *ctx, const struct task_view *task,
		   struct err *err)
{
	static char root[] = "/";
	FsRecord rec = FS_RECORD__INIT;
	struct cwd cwd = { 0 };
	int r;

	r = read_cwd(task, &cwd, err);
	if (r < 0)
		return r;
	rec.pid = task->ns_pid;
	rec.root.data = (uint8_t *)root;
	rec.root.len = 1;
	rec.cwd.data = (uint8_t *)cwd.path;
	rec.cwd.len = strlen(cwd.path);
	rec.cwd_deleted = cwd.deleted;
	rec.umask = task->status->umask;
	r = put_directories(ctx, task, &cwd, err);
	if (r == 0)
		r = img_put(ctx->out, TAG_FS, &rec.base, err);
	free(cwd.path);
	return r;
}

static int path_call(struct remote *remote, long nr, const char *path,
		     uint64_t arg, int64_t *ret, struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	const uint64_t args[6] = { at, arg };
	int r;

	r = remote_write(remote, at, path, strlen(path) + 1, err);
	return r < 0 ? r : remote_syscall(remote, nr, args, ret, err);
}

static int enter(struct remote *remote, const char *path, struct err *err)
{
	int64_t value;
	int r;

	r = path_call(remote, __NR_chdir, path, 0, &value, err);
	if (r < 0)
		return r;
	return value < 0
		       ? err_num(err, (int)value, "current directory %s", path)
		       : 0;
}

/*
 * A deleted directory is empty and takes nothing new: one made for the
 * purpose and removed again is the same.  Its old place may be gone or not
 * the user's; then any place will do.
 */
static int enter_deleted(struct remote *remote, const char *path,
			 struct err *err)
{
	char other[4][64];
	const char *places[] = { path, other[0], other[1], other[2] };
	uint64_t random;
	int64_t value;
	size_t i;
	int r;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, "getrandom");
	snprintf(other[0], 64, "/tmp/.jobcr-%016llx",
		 (unsigned long long)random);
	snprintf(other[1], 64, "/var/tmp/.jobcr-%016llx",
		 (unsigned long long)random);
	snprintf(other[2], 64, "/dev/shm/.jobcr-%016llx",
		 (unsigned long long)random);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		r = path_call(remote, __NR_mkdir, places[i], 0700, &value, err);
		if (r < 0)
			return r;
		if (value < 0)
			continue;
		r = enter(remote, places[i], err);
		if (r < 0)
			return r;
		r = path_call(remote, __NR_rmdir, places[i], 0, &value, err);
		if (r < 0)
			return r;
		return value < 0
			       ? err_num(err, (int)value, "rmdir %s", places[i])
			       : 0;
	}
	return err_set(err, -EACCES,
		       "no place for the deleted current directory %s", path);
}

/* A path of an image: absolute, no NUL, not too long; owned by caller. */
static int unpack_path(const ProtobufCBinaryData *data, char **ret,
		       struct err *err)
{
	if (data->len == 0 || data->len >= PATH_MAX_BYTES ||
	    data->data[0] != '/' || memchr(data->data, 0, data->len))
		return err_set(err, -EBADMSG, "not a path");
	*ret = strndup((const char *)data->data, data->len);
	return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int fs_restore(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	const FsRecord *rec = (const FsRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_free char *was = NULL;
	char cwd[PATH_MAX];
	int r;

	if (rec->root.len != 1 || rec->root.data[0] != '/')
		return err_set(err, -ENOTSUP, "a root directory other than /");
	if (rec->umask > 0777)
		return err_set(err, -EBADMSG, "umask %#o", rec->umask);
	r = unpack_path(&rec->cwd, &was, err);
	if (r == 0)
		r = e->map_path(e->arg, was, cwd, err);
	if (r < 0)
		return r;
	r = rec->cwd_deleted ? enter_deleted(task->remote, cwd, err)
			     : enter(task->remote, cwd, err);
	if (r < 0)
		return r;
	return remote_later(task->remote, "umask", REMOTE_ANY, err, __NR_umask,
			    rec->umask, 0, 0, 0, 0, 0);
}

const struct resource_ops res_fs = {
	.name = "current directory",
	.saved = "current directory, umask",
	.refused = "another root directory",
	.tag = TAG_FS,
	.scope = SCOPE_TASK,
	.stage = STAGE_LAST,
	.check_task = fs_check,
	.dump_task = fs_dump,
	.restore = fs_restore,
};
