// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches of inotify, under their numbers.  The kernel knows inodes and not
 * paths: these are found by handles.  Events that wait to be read cannot be
 * looked at without taking them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/inode_path.h"
#include "resource/file_image.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SET_NEXT_WATCH _IOW('I', 0, int32_t)
#define WATCH_MAX      (1 << 20) /* limit of the kernel's, at most */
#define LINE_BYTES     (256 + 2 * MAX_HANDLE_SZ)

/* What inotify_add_watch(2) takes and the kernel keeps. */
#define WATCH_MASK (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)

/* What a checkpoint causes where the job has files that it writes or maps. */
#define READER_MASK (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

struct watch {
	int number;
	uint32_t mask;
	uint64_t inode;
	dev_t device;
	union {
		struct file_handle handle;
		uint8_t room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	};
};

static bool inotify_match(const struct fd_view *fd)
{
	return !strcmp(fd->link, "anon_inode:inotify");
}

static bool parse_hex(const char *text, uint8_t *ret, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned int byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		ret[i] = (uint8_t)byte;
	}
	return true;
}

/*
 * 1: *text is behind a watch; 0: there is no further one.  A line is copied:
 * sscanf(3) looks for the end of what it is given, and there may be megabytes.
 */
static int next_watch(const char **text, struct watch *w, struct err *err)
{
	const char *found = strstr(*text, "inotify wd:");
	unsigned int device, bytes = 0, type = 0;
	unsigned long inode;
	char line[LINE_BYTES];
	int end = 0;

	if (!found)
		return 0;
	(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(found, "\n"),
		       found);
	if (sscanf(line,
		   "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:%*x "
		   "fhandle-bytes:%x fhandle-type:%x f_handle:%n",
		   (unsigned int *)&w->number, &inode, &device, &w->mask,
		   &bytes, &type, &end) < 4)
		return err_set(err, -EIO, "fdinfo: unknown format");
	*text = found + strlen("inotify wd:");
	w->inode = inode;
	w->device = makedev(device >> 20, device & 0xfffff);
	w->mask &= WATCH_MASK;
	w->handle.handle_bytes = 0;
	w->handle.handle_type = (int)type;
	if (end && bytes && bytes <= MAX_HANDLE_SZ &&
	    parse_hex(line + end, w->handle.f_handle, bytes))
		w->handle.handle_bytes = bytes;
	return 1;
}

static int path_of(const struct fd_view *fd, struct watch *w, char **ret,
		   struct err *err)
{
	if (!w->handle.handle_bytes)
		return err_set(err, -ENOENT,
			       "its file system tells no handles");
	return inode_path(fd->task->proc_fd, w->device, &w->handle, ret, err);
}

static int unread(const struct fd_view *fd, int *ret, struct err *err)
{
	return ioctl(fd->own_fd, FIONREAD, ret) < 0 ? err_sys(err, "FIONREAD")
						    : 0;
}

/* Watches that would tell of a reader, by inode. */
struct readers {
	const struct fd_view *group;
	struct refusals *no;
	struct reader {
		uint64_t inode;
		int number;
	} * v;
	size_t count;
};

static int by_inode(const void *a, const void *b)
{
	const struct reader *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

static int find_readers(struct readers *s, struct err *err)
{
	const char *text = s->group->fdinfo;
	struct reader *more;
	size_t room = 0;
	struct watch w;
	int r;

	while ((r = next_watch(&text, &w, err)) > 0) {
		if (!(w.mask & READER_MASK))
			continue;
		if (s->count == room) {
			room = 2 * room + 16;
			more = reallocarray(s->v, room, sizeof(*more));
			if (!more)
				return err_num(err, ENOMEM, "watches");
			s->v = more;
		}
		s->v[s->count++] = (struct reader){ w.inode, w.number };
	}
	if (s->count)
		qsort(s->v, s->count, sizeof(*s->v), by_inode);
	return r;
}

/* By inodes alone: some file systems give stat(2) another device. */
static void refuse_reader(const struct readers *s, uint64_t inode,
			  const char *path)
{
	const struct reader key = { .inode = inode }, *found;

	found = bsearch(&key, s->v, s->count, sizeof(key), by_inode);
	if (inode && found)
		refusals_add(s->no, s->group->task->ns_pid,
			     s->group->task->stat->comm, s->group->fd,
			     "watch without IN_OPEN, IN_ACCESS and "
			     "IN_CLOSE_NOWRITE",
			     "inotify watch %d would tell the job that a "
			     "checkpoint reads %s",
			     found->number, path);
}

/* Of the directory that a file is in, 0: unknown. */
static uint64_t inode_above(const struct fd_view *fd)
{
	auto_free char *dir = strdup(fd->link);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	auto_close int dir_fd = -EBADF;
	struct err ignored;
	struct stat st;

	if (!slash || dir[0] != '/')
		return 0;
	slash[slash == dir] = '\0';
	dir_fd = file_open_for_task(fd->task, dir, O_PATH | O_DIRECTORY,
				    &ignored);
	return dir_fd < 0 || fstat(dir_fd, &st) < 0 ? 0 : st.st_ino;
}

static int check_file(void *arg, const struct fd_view *fd, struct err *err)
{
	const struct readers *s = arg;

	(void)err;
	if (!S_ISREG(fd->stat->st_mode) || fd->link[0] != '/')
		return 0;
	refuse_reader(s, fd->stat->st_ino, fd->link);
	refuse_reader(s, inode_above(fd), fd->link);
	return 0;
}

/* Before anything is opened that a watch of such a group would tell. */
static int check_readers(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct refusals *no, struct err *err)
{
	struct readers s = { .group = fd, .no = no };
	const struct dump_engine *e = ctx->engine;
	int r = find_readers(&s, err);

	if (r == 0 && s.count)
		r = e->each_file(e->arg, check_file, &s, err);
	free(s.v);
	return r;
}

static int check_watches(const struct fd_view *fd, struct refusals *no,
			 struct err *err)
{
	const char *text = fd->fdinfo;
	struct watch w;
	int r;

	while ((r = next_watch(&text, &w, err)) > 0) {
		auto_free char *path = NULL;
		struct err why;

		r = path_of(fd, &w, &path, &why);
		if (r < 0)
			refusals_add(no, fd->task->ns_pid, fd->task->stat->comm,
				     fd->fd, "close it",
				     "inotify watch %d on inode %lu of device "
				     "%u:%u, which cannot be found again: %s",
				     w.number, (unsigned long)w.inode,
				     major(w.device), minor(w.device),
				     why.text);
	}
	return r;
}

static int inotify_check(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct refusals *no, struct err *err)
{
	int bytes, r = unread(fd, &bytes, err);

	if (r < 0)
		return r;
	if (bytes)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "let the program read them, or close it",
			     "inotify watches with events not read yet");
	r = check_readers(ctx, fd, no, err);
	if (r == 0)
		r = check_watches(fd, no, err);
	return r < 0 ? r : open_file_check(ctx, fd, no, err);
}

static int add_watch(InotifyRecord *rec, const struct fd_view *fd,
		     struct watch *w, struct err *err)
{
	InotifyWatch *e = calloc(1, sizeof(*e)), **more;
	auto_free char *path = NULL;
	int r;

	more = reallocarray(rec->watches, rec->n_watches + 1, sizeof(*more));
	if (more)
		rec->watches = more;
	if (!more || !e) {
		free(e);
		return err_num(err, ENOMEM, "watches");
	}
	inotify_watch__init(e);
	rec->watches[rec->n_watches++] = e;
	r = path_of(fd, w, &path, err);
	if (r < 0)
		return err_wrap(err, r, "inotify watch %d", w->number);
	e->number = w->number;
	e->mask = w->mask;
	e->path.len = strlen(path);
	e->path.data = (uint8_t *)take_ptr(path);
	return 0;
}

static void free_watches(InotifyRecord *rec)
{
	for (size_t i = 0; i < rec->n_watches; i++) {
		free(rec->watches[i]->path.data);
		free(rec->watches[i]);
	}
	free(rec->watches);
}

static int by_number(const void *a, const void *b)
{
	const InotifyWatch *const *x = a, *const *y = b;

	return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

static int read_watches(InotifyRecord *rec, const struct fd_view *fd,
			struct err *err)
{
	const char *text = fd->fdinfo;
	struct watch w;
	int r;

	while ((r = next_watch(&text, &w, err)) > 0) {
		r = add_watch(rec, fd, &w, err);
		if (r < 0)
			return r;
	}
	if (r == 0 && rec->n_watches)
		qsort(rec->watches, rec->n_watches, sizeof(*rec->watches),
		      by_number);
	return r;
}

static int inotify_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct err *err)
{
	InotifyRecord rec = INOTIFY_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int bytes, r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = unread(fd, &bytes, err);
	if (r == 0 && bytes)
		r = err_set(err, -ENOTSUP, "inotify events not read yet");
	if (r == 0)
		r = read_watches(&rec, fd, err);
	if (r == 0)
		r = img_put(ctx->out, TAG_INOTIFY, &rec.base, err);
	free_watches(&rec);
	return r;
}

/* The kernel counts it, and its watches, for whoever makes it. */
static int make_group(const struct restore_ctx *ctx, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	int fd, r = count_as_user(&user, err);

	if (r < 0)
		return r;
	fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0)
		fd = err_sys(err, "inotify_init1");
	count_as_root();
	return fd;
}

/* Only who may read a file may watch it. */
static int watch_as_owner(const struct restore_ctx *ctx, int fd, int file,
			  uint32_t mask, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	char path[32];
	int number, r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	r = as_user(&user, err);
	if (r < 0)
		return r;
	number = inotify_add_watch(fd, path, mask);
	r = number < 0 ? err_sys(err, "watch it") : number;
	as_root();
	return r;
}

static int watch_again(const struct restore_ctx *ctx, int fd,
		       const InotifyWatch *w, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_free char *path = strndup((const char *)w->path.data, w->path.len);
	auto_close int file = -EBADF;
	int r;

	if (!path)
		return err_num(err, ENOMEM, "path");
	if (w->number < 1 || (w->mask & ~WATCH_MASK))
		return err_set(err, -EBADMSG, "inotify watch %d, mask %#x",
			       w->number, w->mask);
	file = e->open_path(e->arg, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
			    err);
	if (file < 0)
		return err_wrap(err, file, "inotify watch %d", w->number);
	if (ioctl(fd, SET_NEXT_WATCH, w->number) < 0)
		return err_sys(err, "inotify: set the number of a watch");
	r = watch_as_owner(ctx, fd, file, w->mask, err);
	if (r >= 0 && r != w->number)
		r = err_set(err, -EBADMSG, "it became watch %d", r);
	return r < 0 ? err_wrap(err, r, "inotify watch %d: %s", w->number, path)
		     : 0;
}

static int inotify_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			   struct err *err)
{
	const InotifyRecord *rec = (const InotifyRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = make_group(ctx, err);
	int r = 0;

	if (fd < 0)
		return fd;
	if (rec->n_watches > WATCH_MAX)
		return err_set(err, -EBADMSG, "%zu inotify watches",
			       rec->n_watches);
	for (size_t i = 0; i < rec->n_watches && r == 0; i++)
		r = watch_again(ctx, fd, rec->watches[i], err);
	if (r == 0)
		r = open_file_apply(fd, rec->open, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

/* The restore itself opens and writes files that may be watched. */
static int inotify_drain(struct restore_ctx *ctx, struct restore_task *task,
			 struct restore_thread *thread,
			 const ProtobufCMessage *msg, struct err *err)
{
	const InotifyRecord *rec = (const InotifyRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, rec->open->object), bytes = 0;
	uint8_t events[65536];

	while (ioctl(fd, FIONREAD, &bytes) == 0 && bytes)
		if (read(fd, events, sizeof(events)) < 0)
			return err_sys(err, "inotify: read own events");
	return 0;
}

static int inotify_late(struct restore_ctx *ctx, struct restore_task *task,
			int fd, const ProtobufCMessage *msg, struct err *err)
{
	const InotifyRecord *rec = (const InotifyRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_inotify = {
	.name = "inotify",
	.saved = "watches with their numbers, by path",
	.refused = "events not read yet; watches of removed files, on file "
		   "systems without handles, and of readers where the job has "
		   "files",
	.changes = "what happens to watched files while the job is away is not "
		   "reported",
	.tag = TAG_INOTIFY,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = inotify_match,
	.check_file = inotify_check,
	.dump_file = inotify_dump,
	.restore_file = inotify_restore,
	.late_file = inotify_late,
	.stage2 = STAGE_ARM,
	.restore2 = inotify_drain,
};
