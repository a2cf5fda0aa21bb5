// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/ghost_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "resource/file_image.h"
#include "resource/file_local.h"
#include "snapshot/snapshot.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * A descriptor may be one by which nobody can read, and a program one that can
 * only be executed: then its user has to have the right.
 */
static bool needs_right(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	const bool reads = !fd->mapped && !(fd->flags & O_PATH) &&
			   (fd->flags & O_ACCMODE) != O_WRONLY;

	return !reads && fd->stat->st_uid != ctx->options->owner_uid;
}

/* Asked without opening it: that may break a lease, or be watched. */
int ghost_check_contents(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct refusals *no, struct err *err)
{
	bool may;
	int r;

	if (!needs_right(ctx, fd))
		return 0;
	r = as_user(ctx->options->owner, err);
	if (r < 0)
		return r;
	may = faccessat(fd->own_fd, "", R_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
	as_root();
	if (!may)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "let the job's user read it (chmod), or close it",
			     "%s has to travel with the job, whose user may "
			     "not read it",
			     fd->link);
	return 0;
}

static int open_contents(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct err *err)
{
	int reader, r;

	if (!needs_right(ctx, fd))
		return file_open_reader(fd, err);
	r = as_user(ctx->options->owner, err);
	if (r < 0)
		return r;
	reader = file_open_reader(fd, err);
	as_root();
	return reader;
}

static int put_contents(const struct dump_ctx *ctx, const struct fd_view *fd,
			GhostRecord *rec, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	uint8_t digest[DIGEST_BYTES];
	auto_close int reader = open_contents(ctx, fd, err);
	int r;

	if (reader < 0)
		return reader;
	if (rec->linked && !rec->origin) {
		r = file_digest(reader, rec->size, digest, err);
		if (r < 0)
			return r;
		rec->has_digest = 1;
		rec->digest.data = digest;
		rec->digest.len = sizeof(digest);
	}
	r = img_put(ctx->out, TAG_GHOST, &rec->base, err);
	if (r < 0 || !rec->size)
		return r;
	return e->pages_of_fd(e->arg, rec->object, reader, rec->size, err);
}

int ghost_put(const struct dump_ctx *ctx, const struct fd_view *fd,
	      const char *path, bool linked, uint32_t *ret_object,
	      struct err *err)
{
	const int64_t second = NSEC_PER_SEC;
	GhostRecord rec = GHOST_RECORD__INIT;
	struct stat st;
	bool first;
	int r;

	if (fstat(fd->own_fd, &st) < 0)
		return err_sys(err, "fstat");
	r = object_get(ctx->objects, OBJECT_GHOST, st.st_dev, st.st_ino, 0,
		       ret_object, &first, err);
	if (r < 0 || !first)
		return r;
	rec.object = *ret_object;
	rec.path.data = (uint8_t *)path;
	rec.path.len = strlen(path);
	rec.size = (uint64_t)st.st_size;
	rec.mode = st.st_mode;
	rec.uid = st.st_uid;
	rec.gid = st.st_gid;
	rec.mtime_ns = st.st_mtim.tv_sec * second + st.st_mtim.tv_nsec;
	rec.linked = linked;
	rec.tail = (uint32_t)(rec.size % IMAGE_PAGE);
	rec.page_size = hugetlb_of_file(fd->own_fd);
	rec.has_page_size = rec.page_size != 0;
	if (linked && file_is_named_memory(ctx, fd))
		r = file_origin(fd->own_fd, &rec.origin, err);
	else if (linked && file_is_local(ctx, fd, path))
		r = file_local_fill(ctx, fd, &rec, err);
	if (r == 0)
		r = put_contents(ctx, fd, &rec, err);
	free(rec.origin);
	return r;
}
