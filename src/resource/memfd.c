// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An open file description of a memfd (or of shared anonymous memory that was
 * opened through map_files).  The file itself is a ShmemRecord.
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "model/mapping.h"
#include "resource/open_file.h"
#include "util/cleanup.h"

#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif

enum memory_file { NONE, MEMFD, SECRET };

/* By the file system: links can be anything a program likes. */
static enum memory_file memory_file(const struct fd_view *fd)
{
	struct mapping_devices devices;
	struct err err = { 0 };
	struct statfs fs;

	if (fd->fd < 0 || fd->own_fd < 0 || !S_ISREG(fd->stat->st_mode) ||
	    fstatfs(fd->own_fd, &fs) < 0)
		return NONE;
	if (fs.f_type == SECRETMEM_MAGIC)
		return SECRET;
	if ((fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC) &&
	    mapping_devices(&devices, &err) == 0 &&
	    mapping_is_memory(&devices, fd->stat->st_dev))
		return MEMFD;
	return NONE;
}

static bool memfd_match(const struct fd_view *fd)
{
	return memory_file(fd) != NONE;
}

static int memfd_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct refusals *no, struct err *err)
{
	enum memory_file kind = memory_file(fd);

	if (kind == SECRET)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "use ordinary memory",
			     "secret memory (memfd_secret)");
	return open_file_check(ctx, fd, no, err);
}

static int memfd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct err *err)
{
	MemfdRecord rec = MEMFD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int r;

	r = open_file_fill(ctx, fd, &open, err);
	if (r < 0)
		return r;
	rec.open = &open;
	rec.shmem = object_find(ctx->objects, OBJECT_SHMEM, fd->stat->st_dev,
				fd->stat->st_ino, 0);
	if (!rec.shmem)
		return err_set(err, -ENOENT, "memfd: its memory was not found");
	return img_put(ctx->out, TAG_MEMFD, &rec.base, err);
}

static int memfd_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			 struct err *err)
{
	const MemfdRecord *rec = (const MemfdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int shmem_fd = e->get_fd(e->arg, rec->shmem);
	auto_close int fd = -EBADF;

	if (shmem_fd < 0 || !e->find(e->arg, TAG_SHMEM, rec->shmem))
		return err_set(err, -EBADMSG, "memfd %u: no memory %u",
			       rec->open->object, rec->shmem);
	/* A second description of the same file, with a mode of its own. */
	fd = open_file_again(shmem_fd, rec->open, err);
	if (fd < 0)
		return err_wrap(err, fd, "memfd %u", rec->open->object);
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

static int memfd_late(struct restore_ctx *ctx, struct restore_task *task,
		      int fd, const ProtobufCMessage *msg, struct err *err)
{
	const MemfdRecord *rec = (const MemfdRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_memfd = {
	.name = "memfd",
	.saved = "contents, name, seals, size of pages",
	.refused = "what a process outside the job shares, locks",
	.tag = TAG_MEMFD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = memfd_match,
	.check_file = memfd_check,
	.dump_file = memfd_dump,
	.restore_file = memfd_restore,
	.late_file = memfd_late,
};
