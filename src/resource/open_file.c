// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

/* What F_SETFL can change, but O_ASYNC. */
#define SETTABLE_FLAGS (O_APPEND | O_DIRECT | O_NOATIME | O_NONBLOCK)

/* Asked for by an open, and meaningful when it is done again. */
#define OPEN_FLAGS                                                             \
	(O_ACCMODE | O_DIRECTORY | O_NOFOLLOW | O_PATH | O_SYNC | O_LARGEFILE)

/* A mapped file has no description; one of O_PATH has no owner. */
static bool has_owner(const struct fd_view *fd)
{
	return !fd->mapped && !(fd->flags & O_PATH);
}

static int read_owner(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct f_owner_ex *ret, pid_t *ret_inner, struct err *err)
{
	*ret = (struct f_owner_ex){ 0 };
	*ret_inner = 0;
	if (!has_owner(fd))
		return 0;
	if (fcntl(fd->own_fd, F_GETOWN_EX, ret) < 0)
		return err_sys(err, "F_GETOWN_EX");
	if (ret->pid)
		*ret_inner = ctx->engine->ns_pid(ctx->engine->arg, ret->pid);
	return 0;
}

int open_file_check_owner(const struct dump_ctx *ctx, const struct fd_view *fd,
			  struct refusals *no, struct err *err)
{
	struct f_owner_ex owner;
	pid_t inner;
	int r;

	r = read_owner(ctx, fd, &owner, &inner, err);
	if (r < 0)
		return r;
	if (owner.pid && !inner)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "end that process, or do not use F_SETOWN with "
			     "it",
			     "%s sends signals to %d, which is not a process "
			     "of the job",
			     fd->link, (int)owner.pid);
	return 0;
}

/* fdinfo tells of those of the open file and of the process that is asked. */
static bool is_locked(const struct fd_view *fd)
{
	struct flock any = { .l_type = F_WRLCK };

	if (fd->mapped || (fd->flags & O_PATH))
		return false;
	if (strstr(fd->fdinfo, "\nlock:\t"))
		return true;
	return S_ISREG(fd->stat->st_mode) &&
	       fcntl(fd->own_fd, F_GETLK, &any) == 0 && any.l_type != F_UNLCK;
}

int open_file_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		    struct refusals *no, struct err *err)
{
	if (is_locked(fd))
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "give the lock back, or lock a file that has a "
			     "name",
			     "a lock (flock, fcntl) on %s", fd->link);
	return open_file_check_owner(ctx, fd, no, err);
}

int open_file_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		   OpenFile *ret, struct err *err)
{
	struct f_owner_ex owner;
	pid_t inner;
	int r;

	ret->object = fd->object;
	ret->flags = fd->flags;
	ret->position = fd->position;
	r = read_owner(ctx, fd, &owner, &inner, err);
	if (r < 0)
		return r;
	if (owner.pid && !inner)
		return err_set(err, -ENOTSUP, "owner %d is not of the job",
			       (int)owner.pid);
	if (inner) {
		ret->has_owner_type = 1;
		ret->owner_type = (int)owner.type;
		ret->has_owner_pid = 1;
		ret->owner_pid = inner;
	}
	if (!has_owner(fd))
		return 0;
	r = fcntl(fd->own_fd, F_GETSIG);
	if (r < 0)
		return err_sys(err, "F_GETSIG");
	ret->has_owner_signal = r != 0;
	ret->owner_signal = r;
	return 0;
}

int open_file_flags(const OpenFile *open)
{
	int flags = (int)open->flags;

	/* A nameless file is no directory, it was made in one. */
	if ((flags & O_TMPFILE) == O_TMPFILE)
		flags &= ~O_DIRECTORY;
	return flags & (OPEN_FLAGS | SETTABLE_FLAGS);
}

int open_file_again(int fd, const OpenFile *file, struct err *err)
{
	auto_close int again = -EBADF;
	char path[32];
	int r;

	/* The link leads to the file itself, not to its name.  Pipes take
	 * O_DIRECT only later. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, (open_file_flags(file) & ~(O_NOFOLLOW | O_DIRECT)) |
				   O_CLOEXEC | O_NOCTTY);
	if (again < 0)
		return err_sys(err, "open again");
	r = open_file_apply(again, file, err);
	if (r < 0)
		return r;
	return take_fd(&again);
}

int open_file_looked_at(const struct restore_ctx *ctx, const char *path,
			int flags, const struct stat *looked, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	struct stat st;

	if (!(flags & O_PATH))
		flags |= O_NONBLOCK | O_NOCTTY;
	fd = e->open_path(e->arg, path, flags | O_CLOEXEC, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_dev != looked->st_dev ||
	    st.st_ino != looked->st_ino)
		return err_set(err, -ESTALE, "%s changes while it is opened",
			       path);
	return take_fd(&fd);
}

int open_file_apply(int fd, const OpenFile *open, struct err *err)
{
	int want = (int)open->flags & SETTABLE_FLAGS;
	int have;

	if (open->flags & O_PATH)
		return 0;
	have = fcntl(fd, F_GETFL);
	if (have >= 0 && (have & SETTABLE_FLAGS) != want) {
		if (fcntl(fd, F_SETFL, want) < 0)
			return err_sys(err, "F_SETFL %#x", (unsigned int)want);
		have = fcntl(fd, F_GETFL);
	}
	if (have < 0)
		return err_sys(err, "F_GETFL");
	/* Some file systems drop what they do not like without a word. */
	if ((have & SETTABLE_FLAGS) != want)
		return err_set(err, -ENOTSUP,
			       "flags %#x are not taken here, only %#x",
			       (unsigned int)want,
			       (unsigned int)(have & SETTABLE_FLAGS));
	if (open->position && lseek(fd, open->position, SEEK_SET) < 0)
		return err_sys(err, "set position %lld",
			       (long long)open->position);
	return 0;
}

static int remote_fcntl(struct restore_task *task, const char *what, int fd,
			int cmd, uint64_t arg, struct err *err)
{
	int64_t v;

	return remote_call(task->remote, what, &v, err, __NR_fcntl,
			   (uint64_t)fd, (uint64_t)cmd, arg, 0, 0, 0);
}

static int remote_setresuid(struct restore_task *task, uid_t real,
			    uid_t effective, struct err *err)
{
	int64_t v;

	return remote_call(task->remote, "setresuid", &v, err, __NR_setresuid,
			   real, effective, 0, 0, 0, 0);
}

/*
 * The kernel remembers the uids of who sets the owner and checks signals
 * against them, so that is done as the user.
 */
static int set_owner(struct restore_ctx *ctx, struct restore_task *task, int fd,
		     const OpenFile *open, struct err *err)
{
	struct f_owner_ex owner = { (int)open->owner_type, open->owner_pid };
	uint64_t buf = remote_buffer(task->remote);
	uid_t uid = ctx->owner->uid;
	int r;

	r = remote_write(task->remote, buf, &owner, sizeof(owner), err);
	if (r < 0)
		return r;
	r = remote_setresuid(task, uid, uid, err);
	if (r < 0)
		return r;
	r = remote_fcntl(task, "F_SETOWN_EX", fd, F_SETOWN_EX, buf, err);
	if (r < 0)
		return r;
	return remote_setresuid(task, 0, 0, err);
}

/* The kernel tells of the lease whoever is the owner, else who takes it. */
int open_file_lease(struct restore_ctx *ctx, struct restore_task *task, int fd,
		    const OpenFile *open, struct err *err)
{
	static const char what[] = "take the lease again that the job had "
				   "(nobody may have the file open for "
				   "writing)";
	const uid_t uid = ctx->owner->uid;
	int r = remote_setresuid(task, uid, uid, err);

	if (r == 0)
		r = remote_fcntl(task, what, fd, F_SETLEASE, F_RDLCK, err);
	if (r == 0)
		r = remote_setresuid(task, 0, 0, err);
	if (r < 0 || open->has_owner_pid)
		return r;
	return remote_fcntl(task, "F_SETOWN", fd, F_SETOWN, 0, err);
}

int open_file_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		   const OpenFile *open, struct err *err)
{
	int r;

	if (open->has_owner_pid) {
		r = set_owner(ctx, task, fd, open, err);
		if (r < 0)
			return r;
	}
	if (open->has_owner_signal) {
		r = remote_fcntl(task, "F_SETSIG", fd, F_SETSIG,
				 (uint64_t)open->owner_signal, err);
		if (r < 0)
			return r;
	}
	/* The number that is used here is what si_fd will say. */
	if (!(open->flags & O_ASYNC) || (open->flags & O_PATH))
		return 0;
	return remote_fcntl(task, "F_SETFL", fd, F_SETFL,
			    open->flags & (SETTABLE_FLAGS | O_ASYNC), err);
}

int open_file_stdio(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	const struct dump_engine *e = ctx->engine;

	if (fd->fd >= 0 && fd->fd <= 2)
		return fd->fd;
	for (int i = 0; i <= 2; i++)
		if (e->fd_object(e->arg, fd->task->ns_pid, i) == fd->object)
			return i;
	return -1;
}
