// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/file_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define NAMES_TRIED 100

/* By a program that only ever adds to it, as far as one can see. */
static bool is_appended(const FileRecord *rec)
{
	return (rec->open->flags & O_APPEND) ||
	       (uint64_t)rec->open->position == rec->size;
}

static bool is_changed(const FileRecord *rec, const struct stat *st)
{
	const int64_t second = NSEC_PER_SEC;

	return (uint64_t)st->st_size != rec->size ||
	       st->st_mtim.tv_sec * second + st->st_mtim.tv_nsec !=
		       rec->mtime_ns;
}

int file_tail_check(const struct restore_ctx *ctx, const FileRecord *rec,
		    int fd, struct err *err)
{
	struct stat st;

	if (ctx->files != FILES_REFUSE || rec->output)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (!is_changed(rec, &st))
		return 0;
	return err_set(err, -ESTALE,
		       "was written after the snapshot (%lld bytes now, %llu "
		       "then): put it back, or restore with another --files",
		       (long long)st.st_size, (unsigned long long)rec->size);
}

/* A name that nobody has; *ret_name is owned by the caller. */
static int create_aside(const struct restore_ctx *ctx, const char *path,
			unsigned int mode, char **ret_name, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd = -EEXIST;

	for (int i = 0; i < NAMES_TRIED && fd == -EEXIST; i++) {
		auto_free char *name = NULL;
		int n = i ? asprintf(&name, "%s.jobcr-%u.%d", path,
				     ctx->generation, i)
			  : asprintf(&name, "%s.jobcr-%u", path,
				     ctx->generation);

		if (n < 0) {
			name = NULL;
			return err_num(err, ENOMEM, "path");
		}
		fd = e->open_here(e->arg, name,
				  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode,
				  err);
		if (fd >= 0)
			*ret_name = take_ptr(name);
	}
	return fd;
}

static int copy_tail(int from, int to, off_t start, off_t end, struct err *err)
{
	char buf[65536];

	while (start < end) {
		size_t want = (size_t)(end - start);
		ssize_t n =
			pread(from, buf,
			      want < sizeof(buf) ? want : sizeof(buf), start);

		if (n <= 0)
			return n < 0 ? err_sys(err, "read")
				     : err_set(err, -ESTALE, "it shrinks");
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(to, buf + done, (size_t)(n - done));

			if (w < 0)
				return err_sys(err, "write");
			done += w;
		}
		start += n;
	}
	return 0;
}

/*
 * Others may go on to append: what came while most was made durable, which
 * takes its time, follows just before the cut.
 */
static int copy_and_cut(int fd, int from, int to, off_t start, struct err *err)
{
	off_t done = start;
	struct stat st;
	int r = 0;

	for (bool durable = false; r == 0; durable = true) {
		if (fstat(fd, &st) < 0)
			return err_sys(err, "fstat");
		if (durable && st.st_size <= done)
			break;
		r = copy_tail(from, to, done, st.st_size, err);
		done = st.st_size;
		if (r == 0 && !durable && fsync(to) < 0)
			return err_sys(err, "fsync");
	}
	if (r < 0)
		return r;
	if (ftruncate(fd, start) < 0)
		return err_sys(err, "cut to %lld bytes", (long long)start);
	return fsync(to) < 0 ? err_sys(err, "fsync") : 0;
}

static int put_aside(const struct restore_ctx *ctx, const FileRecord *rec,
		     const char *path, int fd, mode_t mode, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_free char *name = NULL;
	auto_close int from = -EBADF, to = -EBADF;
	struct stat copied, cut;
	int r;

	from = e->open_here(e->arg, path,
			    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0,
			    err);
	if (from < 0)
		return from;
	if (fstat(from, &copied) < 0 || fstat(fd, &cut) < 0 ||
	    copied.st_dev != cut.st_dev || copied.st_ino != cut.st_ino)
		return err_set(err, -ESTALE, "changes while it is opened");
	to = create_aside(ctx, path, mode & 0777, &name, err);
	if (to < 0)
		return to;
	r = copy_and_cut(fd, from, to, (off_t)rec->size, err);
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	e->remark(e->arg, REMARK_ASIDE, name);
	return 0;
}

int file_tail_cut(const struct restore_ctx *ctx, const FileRecord *rec, int fd,
		  struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_free char *was =
		strndup((const char *)rec->path.data, rec->path.len);
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (!rec->output && (ctx->files == FILES_KEEP || !is_appended(rec)))
		return 0;
	if (!was)
		return err_num(err, ENOMEM, "path");
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if ((uint64_t)st.st_size <= rec->size)
		return 0;
	/* What was printed after the snapshot will be printed again. */
	if (rec->output)
		return ftruncate(fd, (off_t)rec->size) < 0
			       ? err_sys(err, "%s: cut to %llu bytes", was,
					 (unsigned long long)rec->size)
			       : 0;
	/* What is put aside lies beside the file, where that is now. */
	r = e->map_path(e->arg, was, path, err);
	if (r < 0)
		return r;
	r = put_aside(ctx, rec, path, fd, st.st_mode, err);
	return r < 0 ? err_wrap(err, r,
				"%s: put aside what was written after the "
				"snapshot",
				path)
		     : 0;
}
