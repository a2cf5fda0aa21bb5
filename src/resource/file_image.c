// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/file_image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "resource/build_id.h"
#include "resource/file_lock.h"
#include "resource/holder.h"
#include "resource/open_file.h"
#include "snapshot/snapshot.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif
#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif

static const char deleted_mark[] = " (deleted)";

#define SHM_DIR "/dev/shm/"
/* Only root can set it: no user's file passes for another. */
#define ORIGIN_NOTE  "trusted.jobcr.origin"
#define ORIGIN_BYTES 128

const char *file_system_refused(const struct fd_view *fd)
{
	static const struct {
		long magic;
		const char *what;
	} refused[] = {
		{ MQUEUE_MAGIC, "POSIX message queue" },
		{ SECRETMEM_MAGIC, "secret memory (memfd_secret)" },
		{ NSFS_MAGIC, "namespace" },
		{ PID_FS_MAGIC, "pidfd" },
		{ CGROUP_SUPER_MAGIC, "control group file" },
		{ CGROUP2_SUPER_MAGIC, "control group file" },
		{ DEBUGFS_MAGIC, "debugfs file" },
		{ TRACEFS_MAGIC, "tracing file" },
		{ SECURITYFS_MAGIC, "securityfs file" },
		{ BPF_FS_MAGIC, "bpf file" },
	};
	struct statfs fs;

	if (fstatfs(fd->own_fd, &fs) < 0)
		return "file of an unknown file system";
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (fs.f_type == refused[i].magic)
			return refused[i].what;
	if (!strncmp(fd->link, "/memfd:", 7) && !fd->stat->st_nlink)
		return "memfd";
	if (!strncmp(fd->link, "/SYSV", 5) && !fd->stat->st_nlink)
		return "System V shared memory segment";
	return NULL;
}

static uint32_t fs_magic(const struct fd_view *fd)
{
	struct statfs fs;

	return fstatfs(fd->own_fd, &fs) < 0 ? 0 : (uint32_t)fs.f_type;
}

bool file_is_unlinked(const struct fd_view *fd)
{
	const char *base = strrchr(fd->link, '/');

	if (!fd->stat->st_nlink)
		return true;
	/* A client of NFS renames what it still has open, then removes it. */
	return base && !strncmp(base, "/.nfs", 5) &&
	       fs_magic(fd) == NFS_SUPER_MAGIC;
}

/* Links of /proc count from the root of the mount namespace. */
static int path_for_task(const struct task_view *task, const char *path,
			 const char **ret, struct err *err)
{
	auto_free char *root = NULL;
	size_t len;
	int r;

	r = proc_read_link(task->proc_fd, "root", &root, err);
	/* It has ended: a running job. */
	if (r < 0)
		return err_wrap(err, -ESRCH, "root");
	len = strlen(root);
	if (len == 1)
		len = 0;
	if (strncmp(path, root, len) != 0 || path[len] != '/')
		return err_set(err, -EXDEV, "%s is outside the root %s", path,
			       root);
	*ret = path + len + 1;
	return 0;
}

int file_open_for_task(const struct task_view *task, const char *path,
		       int flags, struct err *err)
{
	auto_close int root = -EBADF;
	const char *below = ".";
	int r, fd;

	r = path_for_task(task, path, &below, err);
	if (r < 0)
		return r;
	root = openat(task->proc_fd, "root", O_PATH | O_CLOEXEC);
	if (root < 0)
		return err_num(err, ESRCH, "open root");
	fd = open_in_root(root, *below ? below : ".", flags, 0,
			  RESOLVE_NO_MAGICLINKS);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * sem_open(3) makes a semaphore under a name of its own and then gives it the
 * one that is asked for, which the kernel does not tell.
 */
static bool find_other_name(const struct fd_view *fd, char **path)
{
	auto_closedir DIR *dir = NULL;
	struct err ignored;
	struct dirent *d;
	struct stat st;
	char *name;
	int dir_fd;

	if (strncmp(fd->link, SHM_DIR, strlen(SHM_DIR)) != 0)
		return false;
	dir_fd = file_open_for_task(fd->task, SHM_DIR, O_RDONLY | O_DIRECTORY,
				    &ignored);
	dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	if (!dir && dir_fd >= 0)
		close(dir_fd);
	while (dir && (d = readdir(dir))) {
		if (d->d_ino != fd->stat->st_ino ||
		    fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !is_same(&st, fd->stat))
			continue;
		if (asprintf(&name, SHM_DIR "%s", d->d_name) < 0)
			return false;
		free(*path);
		*path = name;
		return true;
	}
	return false;
}

int file_find(const struct fd_view *fd, char **ret_path, bool *ret_there,
	      struct err *err)
{
	auto_free char *path = strdup(fd->link);
	auto_close int found = -EBADF;
	size_t mark = strlen(deleted_mark), len = strlen(fd->link);
	struct err ignored;
	struct stat st;

	if (!path)
		return err_num(err, ENOMEM, "path");
	if (len > PATH_MAX_BYTES)
		return err_set(err, -ENAMETOOLONG, "path of %zu bytes", len);
	*ret_there = false;
	if (!fd->stat->st_nlink && len > mark &&
	    !strcmp(path + len - mark, deleted_mark)) {
		path[len - mark] = '\0';
	} else {
		found = file_open_for_task(fd->task, path, O_PATH | O_NOFOLLOW,
					   &ignored);
		*ret_there = found == -ESRCH;
		if (found >= 0)
			*ret_there = fstat(found, &st) == 0 &&
				     is_same(&st, fd->stat);
		if (!*ret_there)
			*ret_there = find_other_name(fd, &path);
	}
	*ret_path = take_ptr(path);
	return 0;
}

static bool is_in_shm(const struct fd_view *fd)
{
	return S_ISREG(fd->stat->st_mode) &&
	       !strncmp(fd->link, SHM_DIR, strlen(SHM_DIR)) &&
	       fs_magic(fd) == TMPFS_MAGIC;
}

bool file_is_named_memory(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	const uint32_t owner = ctx->options->owner_uid;

	return is_in_shm(fd) && fd->stat->st_nlink &&
	       (!owner || fd->stat->st_uid == owner);
}

/*
 * File systems on disks use the number of an inode again at once.  Memory does
 * not, and its origins have always been without.
 */
static const char *birth_of(const char *path, char text[64])
{
	struct statx st;
	struct statfs fs;

	*text = '\0';
	if (statfs(path, &fs) == 0 && fs.f_type != TMPFS_MAGIC &&
	    statx(AT_FDCWD, path, 0, STATX_BTIME, &st) == 0 &&
	    (st.stx_mask & STATX_BTIME))
		snprintf(text, 64, " %lld.%09u", (long long)st.stx_btime.tv_sec,
			 st.stx_btime.tv_nsec);
	return text;
}

int file_origin(int fd, char **ret, struct err *err)
{
	auto_free char *boot = NULL;
	char path[32], text[ORIGIN_BYTES], birth[64];
	struct stat st;
	ssize_t n;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = getxattr(path, ORIGIN_NOTE, text, sizeof(text) - 1);
	if (n > 0) {
		*ret = strndup(text, (size_t)n);
		return *ret ? 0 : err_num(err, ENOMEM, "origin");
	}
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	r = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot,
			 NULL, err);
	if (r < 0)
		return r;
	boot[strcspn(boot, "\n")] = '\0';
	if (asprintf(ret, "%s %u:%u %llu%s", boot, major(st.st_dev),
		     minor(st.st_dev), (unsigned long long)st.st_ino,
		     birth_of(path, birth)) < 0) {
		*ret = NULL;
		return err_num(err, ENOMEM, "origin");
	}
	return 0;
}

void file_note_origin(int fd, const char *origin)
{
	(void)!fsetxattr(fd, ORIGIN_NOTE, origin, strlen(origin), 0);
}

void file_check_outside(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;
	const bool memory = file_is_named_memory(ctx, fd) ||
			    (!fd->stat->st_nlink && is_in_shm(fd));
	bool unread = false;
	pid_t other;

	if (!memory && !hugetlb_of_file(fd->own_fd))
		return;
	if (memory && fd->stat->st_nlink > 1)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "remove all names but one",
			     "shared memory with %lu names: %s",
			     (unsigned long)fd->stat->st_nlink, fd->link);
	other = e->shmem_outside(e->arg, fd->stat->st_dev, fd->stat->st_ino,
				 &unread);
	if (other)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "end the other process, or run it in the job",
			     "%s %s process %d outside the job: %s",
			     memory ? "memory" : "huge pages",
			     holder_shares(unread), (int)other, fd->link);
}

int file_open_reader(const struct fd_view *fd, struct err *err)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd->own_fd);
	again = open(path, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (again < 0)
		again = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return again < 0 ? err_sys(err, "open for reading") : again;
}

bool file_path_in(const char *const *list, const char *path)
{
	for (size_t i = 0; list && list[i]; i++) {
		size_t len = strlen(list[i]);

		while (len && list[i][len - 1] == '/')
			len--;
		if (len && !strncmp(list[i], path, len) &&
		    (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

static int digest_feed(struct digest *d, int fd, uint64_t size, struct err *err)
{
	uint8_t buf[65536];
	uint64_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, buf, sizeof(buf), (off_t)at);

		if (n < 0)
			return err_sys(err, "read");
		if (n == 0)
			return err_set(err, -ENODATA, "ends at byte %llu",
				       (unsigned long long)at);
		digest_add(d, buf, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

int file_digest(int fd, uint64_t size, uint8_t *ret, struct err *err)
{
	struct digest *d = NULL;
	int r;

	r = digest_new(&d, err);
	if (r < 0)
		return r;
	r = digest_feed(d, fd, size, err);
	if (r == 0)
		digest_end(d, ret);
	digest_free(d);
	return r;
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * (int64_t)NSEC_PER_SEC +
	       st->st_mtim.tv_nsec;
}

/* The reader may fail where root may not read; then there is no id. */
static size_t read_build_id(const struct fd_view *fd, uint8_t id[BUILD_ID_MAX])
{
	auto_close int reader = -EBADF;
	struct err ignored;

	if (!fd->mapped || !S_ISREG(fd->stat->st_mode))
		return 0;
	reader = file_open_reader(fd, &ignored);
	return reader < 0 ? 0 : build_id_read(reader, id);
}

int file_put(const struct dump_ctx *ctx, const struct fd_view *fd,
	     const char *path, uint32_t ghost, struct err *err)
{
	FileRecord rec = FILE_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	uint8_t id[BUILD_ID_MAX];
	struct stat st;
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r < 0)
		return r;
	if (fstat(fd->own_fd, &st) < 0)
		return err_sys(err, "fstat");
	rec.path.data = (uint8_t *)path;
	rec.path.len = strlen(path);
	rec.mode = st.st_mode;
	rec.size = (uint64_t)st.st_size;
	rec.mtime_ns = mtime_ns(&st);
	rec.inode = st.st_ino;
	rec.fs_magic = fs_magic(fd);
	rec.has_device = 1;
	rec.device = st.st_dev;
	rec.build_id.data = id;
	rec.build_id.len = ghost ? 0 : read_build_id(fd, id);
	rec.has_build_id = rec.build_id.len > 0;
	rec.has_ghost = ghost != 0;
	rec.ghost = ghost;
	rec.has_output = 1;
	rec.output = !ghost && S_ISREG(st.st_mode) &&
		     (fd->flags & O_ACCMODE) != O_RDONLY &&
		     file_path_in(ctx->options->stdio, path);
	rec.has_written = 1;
	rec.written = object_find(ctx->objects, OBJECT_WRITTEN, st.st_dev,
				  st.st_ino, 0) != 0;
	r = file_lock_fill(ctx, fd, &rec, err);
	if (r == 0)
		r = img_put(ctx->out, TAG_FILE, &rec.base, err);
	file_lock_free(&rec);
	return r;
}
