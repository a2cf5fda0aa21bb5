// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Directories that a job has for itself, such as the /tmp that Slurm makes for
 * each job (job_container/tmpfs).  Nobody else has put anything there, so all
 * that the job's user has in them is the job's, also what it has not open.
 * Files are saved before those that are open, with which they may be the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/private_mount.h"
#include "resource/file_image.h"
#include "resource/private_make.h"
#include "resource/private_walk.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define SHM_DIR "/dev/shm"
/* Small files are in their records, so many bytes of them: a restore has all
 * records in memory. */
#define INLINE_BYTES (64u << 20)
/* A large file that is made has three for a moment. */
#define DESCRIPTORS       3u
#define DESCRIPTORS_SPARE 1024u
#define FILES_FEW         100u /* any limit will do */
/* What inotify tells of who reads. */
#define READER_MASK (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

/* One such directory, while it is looked at or saved. */
struct scan {
	const struct dump_ctx *ctx;
	const struct private_mount *mount;
	struct refusals *no;
	uint64_t bytes;                       /* so far, of all */
	uint64_t files, descriptors, inlined; /* the same */
	uint32_t object;
	bool seen; /* a watch of readers */
};

typedef int (*scan_fn)(struct scan *s, struct err *err);

static int find_mounts(const struct dump_options *options,
		       struct private_mounts *ret, struct err *err)
{
	auto_close int proc_fd = -EBADF, root_fd = -EBADF;
	auto_free const char **dirs = NULL;
	size_t n = 0;
	int r;

	while (options->local[n])
		n++;
	dirs = calloc(n + 2, sizeof(*dirs));
	if (!dirs)
		return err_num(err, ENOMEM, "paths");
	memcpy(dirs, options->local, n * sizeof(*dirs));
	dirs[n] = SHM_DIR;
	r = proc_open(options->mount_pid, 0, &proc_fd, err);
	if (r < 0)
		return r;
	root_fd = openat(proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_num(err, ESRCH, "process %d has ended",
			       (int)options->mount_pid);
	return private_mounts_find(root_fd, dirs, ret, err);
}

static int each_mount(struct scan *s, scan_fn fn, struct err *err)
{
	const struct dump_options *options = s->ctx->options;
	struct private_mounts mounts = { 0 };
	int r;

	if (!options->mount_pid || !options->local || !options->local[0])
		return 0;
	r = find_mounts(options, &mounts, err);
	for (size_t i = 0; r == 0 && i < mounts.count; i++) {
		s->mount = &mounts.list[i];
		r = fn(s, err);
		if (r < 0)
			err_wrap(err, r, "%s", s->mount->path);
	}
	private_mounts_done(&mounts);
	return r;
}

/* ---- what can be saved ---- */

static void refuse(struct scan *s, const char *path, const char *remedy,
		   const char *what)
{
	refusals_add(s->no, 0, "", -1, remedy,
		     "%s in a directory of the job's own: %.60s/%.120s", what,
		     s->mount->path, path);
}

static void refuse_size(struct scan *s)
{
	const uint64_t limit = s->ctx->options->private_bytes;

	if (s->bytes <= limit)
		return;
	refusals_add(s->no, 0, "", -1,
		     "remove what is not needed, or set PrivateDirSize in "
		     "jobcr.conf higher",
		     "files of %llu MiB, more than %llu, in directories of the "
		     "job's own (%s)",
		     (unsigned long long)(s->bytes >> 20),
		     (unsigned long long)(limit >> 20), s->mount->path);
}

/* Each takes descriptors of the worker's, here and at the restore. */
static void refuse_number(struct scan *s)
{
	const uint64_t need = s->descriptors + DESCRIPTORS_SPARE;
	struct rlimit limit;

	if (s->files < FILES_FEW || getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    need <= limit.rlim_cur)
		return;
	refusals_add(s->no, 0, "", -1,
		     "remove some of them, or let jobcrd have more open files "
		     "(LimitNOFILE)",
		     "%llu files in directories of the job's own (%s)",
		     (unsigned long long)s->files, s->mount->path);
}

static bool take_inline(struct scan *s, uint64_t size)
{
	if (size > INLINE_MAX_BYTES || s->inlined + size > INLINE_BYTES)
		return false;
	s->inlined += size;
	return true;
}

static void count(struct scan *s, const struct statx *st)
{
	s->files++;
	s->descriptors++;
	if (!S_ISREG(st->stx_mode) || !st->stx_nlink)
		return;
	/* Each name has its part of the whole. */
	s->bytes += st->stx_blocks * 512 / st->stx_nlink;
	if (!take_inline(s, st->stx_size))
		s->descriptors += DESCRIPTORS - 1;
}

static int look_at(void *arg, const struct private_item *item, struct err *err)
{
	const mode_t mode = item->stat->stx_mode;
	struct scan *s = arg;

	(void)err;
	if (item->end)
		return 0;
	count(s, item->stat);
	if (item->mounted)
		refuse(s, item->path, "unmount it", "a mount");
	else if (S_ISCHR(mode) || S_ISBLK(mode))
		refuse(s, item->path, "remove it", "a device");
	return 0;
}

/* In a group's text: by the device of what is watched. */
static bool watches_readers(const char *text, dev_t dev)
{
	unsigned int device, mask;

	while ((text = strstr(text, "inotify wd:"))) {
		text += strlen("inotify wd:");
		if (sscanf(text, "%*x ino:%*x sdev:%x mask:%x", &device,
			   &mask) == 2 &&
		    (mask & READER_MASK) &&
		    makedev(device >> 20, device & 0xfffff) == dev)
			return true;
	}
	return false;
}

static int look_for_readers(void *arg, const struct fd_view *fd,
			    struct err *err)
{
	struct scan *s = arg;

	(void)err;
	if (strcmp(fd->link, "anon_inode:inotify") != 0 ||
	    !watches_readers(fd->fdinfo, s->mount->dev))
		return 0;
	s->seen = true;
	refusals_add(s->no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
		     "watch without IN_OPEN, IN_ACCESS and IN_CLOSE_NOWRITE",
		     "inotify watches on the file system of %s would tell the "
		     "job that a checkpoint reads what is there",
		     s->mount->path);
	return 0;
}

/* Before anything is opened there. */
static int look_at_mount(struct scan *s, struct err *err)
{
	const struct dump_engine *e = s->ctx->engine;
	const uint64_t files = s->files;
	int r;

	s->seen = false;
	if (s->mount->removed) {
		refusals_add(
			s->no, 0, "", -1,
			"go on from a snapshot that was made before",
			"%.120s, a directory of the job's own, was removed "
			"with what was in it",
			s->mount->path);
		return 0;
	}
	r = e->each_file(e->arg, look_for_readers, s, err);
	if (r < 0 || s->seen)
		return r;
	r = private_walk(s->mount->fd, s->ctx->options->owner_uid, look_at, s,
			 err);
	if (r == -E2BIG || r == -ENAMETOOLONG) {
		refusals_add(s->no, 0, "", -1, "remove some of them",
			     "%.60s, a directory of the job's own, has %.150s",
			     s->mount->path, err->text);
		r = 0;
	}
	/* The sums are of all of them: with the one that has the last part. */
	if (r == 0 && s->files > files) {
		refuse_size(s);
		refuse_number(s);
	}
	return r;
}

static int private_dir_check(const struct dump_ctx *ctx, struct refusals *no,
			     struct err *err)
{
	struct scan s = { .ctx = ctx, .no = no };

	return each_mount(&s, look_at_mount, err);
}

/* ---- saving ---- */

static bool is_users(const char *name)
{
	return !strncmp(name, "user.", 5) ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

static void free_attributes(PrivateEntryRecord *rec)
{
	for (size_t i = 0; i < rec->n_attributes; i++)
		if (rec->attributes[i])
			private_attribute__free_unpacked(rec->attributes[i],
							 NULL);
	free(rec->attributes);
}

static int add_attribute(PrivateEntryRecord *rec, const char *path,
			 const char *name, struct err *err)
{
	auto_free uint8_t *value = malloc(XATTRS_MAX_BYTES);
	PrivateAttribute *a = calloc(1, sizeof(*a));
	ssize_t n;

	if (!value || !a) {
		free(a);
		return err_num(err, ENOMEM, "attributes");
	}
	private_attribute__init(a);
	rec->attributes[rec->n_attributes++] = a;
	a->name = strdup(name);
	n = lgetxattr(path, name, value, XATTRS_MAX_BYTES);
	if (n < 0)
		return err_sys(err, "attribute %s", name);
	a->value.data = malloc((size_t)n + 1);
	if (!a->name || !a->value.data)
		return err_num(err, ENOMEM, "attributes");
	memcpy(a->value.data, value, (size_t)n);
	a->value.len = (size_t)n;
	return 0;
}

static int add_attributes(PrivateEntryRecord *rec,
			  const struct private_item *item, struct err *err)
{
	char path[sizeof("/proc/self/fd/") + 16 + PRIVATE_NAME_BYTES];
	auto_free char *names = NULL;
	ssize_t n;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", item->dir_fd,
		 item->name);
	n = llistxattr(path, NULL, 0);
	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	names = malloc(XATTRS_MAX_BYTES);
	if (!names)
		return err_num(err, ENOMEM, "attributes");
	n = llistxattr(path, names, XATTRS_MAX_BYTES);
	if (n < 0)
		return err_sys(err, "attributes");
	rec->attributes = calloc((size_t)n + 1, sizeof(*rec->attributes));
	if (!rec->attributes)
		return err_num(err, ENOMEM, "attributes");
	for (char *at = names; r == 0 && at < names + n; at += strlen(at) + 1)
		if (is_users(at))
			r = add_attribute(rec, path, at, err);
	return r;
}

static int read_small(int fd, GhostRecord *rec, uint8_t *data, struct err *err)
{
	int r = read_all(fd, data, rec->size, err);

	rec->data.data = data;
	rec->data.len = rec->size;
	return r < 0 ? err_wrap(err, r, "read it") : 0;
}

static int put_contents(struct scan *s, const struct private_item *item,
			const struct stat *st, int fd, uint32_t object,
			struct err *err)
{
	const struct dump_engine *e = s->ctx->engine;
	const int64_t second = NSEC_PER_SEC;
	GhostRecord rec = GHOST_RECORD__INIT;
	auto_free char *path = NULL, *origin = NULL;
	uint8_t data[INLINE_MAX_BYTES];
	int r;

	if (asprintf(&path, "%s/%s", s->mount->path, item->path) < 0) {
		path = NULL;
		return err_num(err, ENOMEM, "path");
	}
	r = file_origin(fd, &origin, err);
	if (r < 0)
		return r;
	rec.object = object;
	rec.path.data = (uint8_t *)path;
	rec.path.len = strlen(path);
	rec.size = (uint64_t)st->st_size;
	rec.mode = st->st_mode;
	rec.uid = st->st_uid;
	rec.gid = st->st_gid;
	rec.mtime_ns = st->st_mtim.tv_sec * second + st->st_mtim.tv_nsec;
	rec.linked = 1;
	rec.tail = (uint32_t)(rec.size % IMAGE_PAGE);
	rec.origin = origin;
	rec.has_local = rec.local = 1;
	rec.has_in_private = rec.in_private = 1;
	rec.has_data = take_inline(s, rec.size);
	if (rec.has_data)
		r = read_small(fd, &rec, data, err);
	if (r == 0)
		r = img_put(s->ctx->out, TAG_GHOST, &rec.base, err);
	if (r < 0 || rec.has_data)
		return r;
	return e->pages_of_fd(e->arg, object, fd, rec.size, err);
}

static int put_file(struct scan *s, const struct private_item *item,
		    uint32_t *ret_object, struct err *err)
{
	auto_close int fd = openat(item->dir_fd, item->name,
				   O_RDONLY | O_NONBLOCK | O_NOFOLLOW |
					   O_NOATIME | O_CLOEXEC);
	struct stat st;
	bool first;
	int r;

	if (fd < 0)
		return err_sys(err, "open it");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != item->stat->stx_uid)
		return err_set(err, -ESTALE, "changes while it is saved");
	r = object_get(s->ctx->objects, OBJECT_GHOST, st.st_dev, st.st_ino, 0,
		       ret_object, &first, err);
	return r < 0 || !first
		       ? r
		       : put_contents(s, item, &st, fd, *ret_object, err);
}

static int put_target(const struct private_item *item, PrivateEntryRecord *rec,
		      char target[PATH_MAX_BYTES], struct err *err)
{
	ssize_t n =
		readlinkat(item->dir_fd, item->name, target, PATH_MAX_BYTES);

	if (n < 0)
		return err_sys(err, "read the link");
	rec->has_target = 1;
	rec->target.data = (uint8_t *)target;
	rec->target.len = (size_t)n;
	return 0;
}

static PrivateEntryRecord__Kind kind_of(const struct private_item *item)
{
	switch (item->stat->stx_mode & S_IFMT) {
	case S_IFREG:
		return PRIVATE_ENTRY_RECORD__KIND__REGULAR;
	case S_IFLNK:
		return PRIVATE_ENTRY_RECORD__KIND__LINK;
	case S_IFIFO:
		return PRIVATE_ENTRY_RECORD__KIND__FIFO;
	case S_IFSOCK:
		return PRIVATE_ENTRY_RECORD__KIND__SOCKET;
	default:
		return item->end ? PRIVATE_ENTRY_RECORD__KIND__DIRECTORY_END
				 : PRIVATE_ENTRY_RECORD__KIND__DIRECTORY;
	}
}

/* The first thing that is found says that there is something to be saved. */
static int put_dir(struct scan *s, struct err *err)
{
	PrivateDirRecord rec = PRIVATE_DIR_RECORD__INIT;
	struct stat st;
	bool first;
	int r;

	if (s->object)
		return 0;
	if (fstat(s->mount->fd, &st) < 0)
		return err_sys(err, "fstat");
	r = object_get(s->ctx->objects, OBJECT_PRIVATE, st.st_dev, st.st_ino, 1,
		       &s->object, &first, err);
	if (r < 0 || !first)
		return r;
	rec.object = s->object;
	rec.path.data = (uint8_t *)s->mount->path;
	rec.path.len = strlen(s->mount->path);
	return img_put(s->ctx->out, TAG_PRIVATE_DIR, &rec.base, err);
}

static int put_record(struct scan *s, const struct private_item *item,
		      PrivateEntryRecord *rec, struct err *err)
{
	const int64_t second = NSEC_PER_SEC;
	const struct statx *st = item->stat;

	rec->directory = s->object;
	rec->path.data = (uint8_t *)item->path;
	rec->path.len = strlen(item->path);
	rec->mode = st->stx_mode & 07777;
	rec->has_gid = 1;
	rec->gid = st->stx_gid;
	rec->has_mtime_ns = rec->kind != PRIVATE_ENTRY_RECORD__KIND__DIRECTORY;
	rec->mtime_ns = st->stx_mtime.tv_sec * second + st->stx_mtime.tv_nsec;
	return img_put(s->ctx->out, TAG_PRIVATE_ENTRY, &rec->base, err);
}

static int put_item(struct scan *s, const struct private_item *item,
		    struct err *err)
{
	const dev_t dev =
		makedev(item->stat->stx_dev_major, item->stat->stx_dev_minor);
	PrivateEntryRecord rec = PRIVATE_ENTRY_RECORD__INIT;
	char target[PATH_MAX_BYTES];
	bool first;
	int r;

	r = put_dir(s, err);
	if (r == 0)
		r = object_get(s->ctx->objects, OBJECT_PRIVATE, dev,
			       item->stat->stx_ino, 0, &rec.object, &first,
			       err);
	if (r < 0)
		return r;
	rec.kind = kind_of(item);
	if (rec.kind == PRIVATE_ENTRY_RECORD__KIND__REGULAR)
		r = put_file(s, item, &rec.object, err);
	else if (rec.kind == PRIVATE_ENTRY_RECORD__KIND__LINK)
		r = put_target(item, &rec, target, err);
	if (r == 0 && rec.kind != PRIVATE_ENTRY_RECORD__KIND__DIRECTORY)
		r = add_attributes(&rec, item, err);
	if (r == 0)
		r = put_record(s, item, &rec, err);
	free_attributes(&rec);
	return r;
}

static int save(void *arg, const struct private_item *item, struct err *err)
{
	int r = put_item(arg, item, err);

	return r < 0 ? err_wrap(err, r, "%s", item->path) : 0;
}

static int save_mount(struct scan *s, struct err *err)
{
	s->object = 0;
	return private_walk(s->mount->fd, s->ctx->options->owner_uid, save, s,
			    err);
}

static int private_dir_dump(const struct dump_ctx *ctx, struct err *err)
{
	struct scan s = { .ctx = ctx };

	return each_mount(&s, save_mount, err);
}

/* ---- at the restore ---- */

static int dir_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
		       struct err *err)
{
	return private_make_dir(ctx, (const PrivateDirRecord *)msg, err);
}

static int entry_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			 struct err *err)
{
	return private_make_entry(ctx, (const PrivateEntryRecord *)msg, err);
}

static int entry_finish(struct restore_ctx *ctx, struct restore_task *task,
			struct restore_thread *thread,
			const ProtobufCMessage *msg, struct err *err)
{
	(void)task;
	(void)thread;
	return private_make_last(ctx, (const PrivateEntryRecord *)msg, err);
}

static void entry_undo(struct restore_ctx *ctx, const ProtobufCMessage *msg)
{
	private_make_undo(ctx, (const PrivateEntryRecord *)msg);
}

const struct resource_ops res_private_dir = {
	.name = "private directory",
	.saved = "all that the user has in it, where LocalDirs or /dev/shm is "
		 "a mount that other jobs do not have",
	.refused = "more than PrivateDirSize or 100000 files, mounts and "
		   "devices below it",
	.tag = TAG_PRIVATE_DIR,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.check_tree = private_dir_check,
	.dump_ahead = private_dir_dump,
	.restore_file = dir_restore,
};

const struct resource_ops res_private_entry = {
	.name = "private directory",
	.tag = TAG_PRIVATE_ENTRY,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = entry_restore,
	.undo_file = entry_undo,
	.stage2 = STAGE_LAST,
	.restore2 = entry_finish,
};
