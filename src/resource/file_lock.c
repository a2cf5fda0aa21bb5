// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "resource/open_file.h"
#include "util/cleanup.h"
#include "util/io.h"

#define PROC_LOCKS_MAX (64u << 20)

#ifndef OVERLAYFS_SUPER_MAGIC
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#endif

struct line {
	char kind[16]; /* POSIX, FLOCK, OFDLCK, LEASE, ... or -> for waiters */
	bool write;
	int pid;
	dev_t dev;
	uint64_t inode;
	int64_t start, length;
};

/* "1: POSIX  ADVISORY  WRITE 42 fd:01:1234 0 EOF" */
static bool parse(const char *text, struct line *ret)
{
	unsigned int dev_major, dev_minor;
	unsigned long long inode, start;
	uint64_t end;
	char type[16], last[32];

	if (sscanf(text, "%*d: %15s %*s %15s %d %x:%x:%llu %llu %31s",
		   ret->kind, type, &ret->pid, &dev_major, &dev_minor, &inode,
		   &start, last) != 8)
		return false;
	ret->write = !strcmp(type, "WRITE");
	ret->dev = makedev(dev_major, dev_minor);
	ret->inode = inode;
	ret->start = (int64_t)start;
	ret->length = 0;
	if (!strcmp(last, "EOF"))
		return true;
	if (parse_u64(last, INT64_MAX, &end) < 0 || end < start)
		return false;
	ret->length = (int64_t)(end - start + 1);
	return true;
}

/* These show one device in stat and another with locks. */
static bool dev_differs(const struct fd_view *fd)
{
	struct statfs fs;

	return fstatfs(fd->own_fd, &fs) == 0 &&
	       (fs.f_type == BTRFS_SUPER_MAGIC ||
		fs.f_type == OVERLAYFS_SUPER_MAGIC);
}

static bool has_locks(const struct fd_view *fd)
{
	return !fd->mapped && !(fd->flags & O_PATH);
}

/* Whoever breaks it waits, and has a deadline. */
static bool is_breaking(const struct fd_view *fd)
{
	const char *line = strstr(fd->fdinfo, " LEASE ");
	char state[16];

	return line && sscanf(line, " LEASE %15s", state) == 1 &&
	       !strcmp(state, "BREAKING");
}

int file_lock_check(const struct fd_view *fd, bool carried, struct refusals *no,
		    struct err *err)
{
	const char *why = NULL;
	int lease;

	if (!has_locks(fd))
		return 0;
	lease = fcntl(fd->own_fd, F_GETLEASE);
	if (lease < 0 && errno != EINVAL)
		return err_sys(err, "%s: F_GETLEASE", fd->link);
	if (is_breaking(fd))
		why = "that somebody waits for";
	else if (lease == F_WRLCK)
		why = "for writing";
	else if (lease == F_RDLCK && carried)
		why = "whose contents are in the snapshot";
	if (why)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "give the lease back (F_SETLEASE, F_UNLCK)",
			     "lease on %s, %s", fd->link, why);
	return 0;
}

static int add(FileRecord *rec, FileLock__Kind kind, const struct line *line,
	       pid_t pid, struct err *err)
{
	FileLock **more =
		reallocarray(rec->locks, rec->n_locks + 1, sizeof(*more));
	FileLock *lock;

	if (!more)
		return err_num(err, ENOMEM, "locks");
	rec->locks = more;
	lock = malloc(sizeof(*lock));
	if (!lock)
		return err_num(err, ENOMEM, "locks");
	file_lock__init(lock);
	lock->kind = kind;
	lock->write = line->write;
	lock->start = line->start;
	lock->length = line->length;
	lock->has_pid = pid != 0;
	lock->pid = pid;
	more[rec->n_locks++] = lock;
	return 0;
}

/* What belongs to the description is listed with it. */
static int add_own(const struct fd_view *fd, FileRecord *rec, struct err *err)
{
	static const char key[] = "lock:\t";
	const char *at = fd->fdinfo;
	struct line line;
	int r = 0;

	while (r == 0 && (at = strstr(at, key))) {
		at += strlen(key);
		if (!parse(at, &line))
			return err_set(err, -EIO, "lock in fdinfo: %.60s", at);
		if (!strcmp(line.kind, "FLOCK"))
			r = add(rec, FILE_LOCK__KIND__FLOCK, &line, 0, err);
		else if (!strcmp(line.kind, "OFDLCK"))
			r = add(rec, FILE_LOCK__KIND__OPEN_FILE, &line, 0, err);
		else if (!strcmp(line.kind, "LEASE") && !line.write)
			r = add(rec, FILE_LOCK__KIND__LEASE, &line, 0, err);
		else if (strcmp(line.kind, "POSIX") != 0)
			r = err_set(err, -ENOTSUP, "lock of kind %s",
				    line.kind);
	}
	return r;
}

/* Those of processes: of all that may hold the description. */
static int add_posix(const struct dump_ctx *ctx, const struct fd_view *fd,
		     FileRecord *rec, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_free char *text = NULL;
	bool any_dev = dev_differs(fd);
	struct line line;
	size_t len;
	int r;

	r = read_file_at(AT_FDCWD, "/proc/locks", PROC_LOCKS_MAX, &text, &len,
			 err);
	for (char *at = text; r == 0 && at && *at;) {
		char *end = strchr(at, '\n');
		pid_t pid = 0;

		if (end)
			*end = '\0';
		if (parse(at, &line) && !strcmp(line.kind, "POSIX") &&
		    line.inode == fd->stat->st_ino &&
		    (any_dev || line.dev == fd->stat->st_dev))
			pid = e->ns_pid(e->arg, line.pid);
		if (pid)
			r = add(rec, FILE_LOCK__KIND__POSIX, &line, pid, err);
		at = end ? end + 1 : NULL;
	}
	return r;
}

int file_lock_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		   FileRecord *rec, struct err *err)
{
	int r;

	if (!has_locks(fd))
		return 0;
	r = add_own(fd, rec, err);
	return r < 0 ? r : add_posix(ctx, fd, rec, err);
}

void file_lock_free(FileRecord *rec)
{
	for (size_t i = 0; i < rec->n_locks; i++)
		free(rec->locks[i]);
	free(rec->locks);
	rec->locks = NULL;
	rec->n_locks = 0;
}

static struct flock as_flock(const FileLock *lock)
{
	return (struct flock){
		.l_type = lock->write ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = lock->start,
		.l_len = lock->length,
	};
}

int file_lock_restore(int fd, const FileRecord *rec, struct err *err)
{
	for (size_t i = 0; i < rec->n_locks; i++) {
		const FileLock *lock = rec->locks[i];
		struct flock range = as_flock(lock);
		int r = 0;

		if (lock->kind == FILE_LOCK__KIND__FLOCK)
			r = flock(fd,
				  (lock->write ? LOCK_EX : LOCK_SH) | LOCK_NB);
		else if (lock->kind == FILE_LOCK__KIND__OPEN_FILE)
			r = fcntl(fd, F_OFD_SETLK, &range);
		if (r < 0)
			return err_sys(err, "take the lock again that the job "
					    "had");
	}
	return 0;
}

/* A write lock is taken by a descriptor that can write. */
static bool lock_fits(const FileLock *lock, uint32_t flags)
{
	uint32_t mode = flags & O_ACCMODE;

	return mode == O_RDWR || mode == (lock->write ? O_WRONLY : O_RDONLY);
}

int file_lock_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		   const FileRecord *rec, struct err *err)
{
	uint64_t buf = remote_buffer(task->remote);
	int64_t v;
	int r;

	for (size_t i = 0; i < rec->n_locks; i++) {
		const FileLock *lock = rec->locks[i];
		struct flock range = as_flock(lock);

		if (lock->kind == FILE_LOCK__KIND__LEASE) {
			r = open_file_lease(ctx, task, fd, rec->open, err);
			if (r < 0)
				return r;
		}
		if (lock->kind != FILE_LOCK__KIND__POSIX ||
		    lock->pid != task->ns_pid ||
		    !lock_fits(lock, rec->open->flags))
			continue;
		r = remote_write(task->remote, buf, &range, sizeof(range), err);
		if (r == 0)
			r = remote_call(task->remote,
					"take the lock again that the job had",
					&v, err, __NR_fcntl, (uint64_t)fd,
					F_SETLK, buf, 0, 0, 0);
		if (r < 0)
			return r;
	}
	return 0;
}
