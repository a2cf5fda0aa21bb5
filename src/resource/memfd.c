// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An open file description of a memfd (or of shared anonymous memory that was
 * opened through map_files).  The file itself is a ShmemRecord.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "images/files.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "model/mapping.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif

enum memory_file { NONE, MEMFD, HUGE_MEMFD, SECRET };

/* By the file system: links can be anything a program likes. */
static enum memory_file memory_file(const struct fd_view *fd)
{
	struct err err = { 0 };
	struct statfs fs;
	dev_t dev;

	if (fd->fd < 0 || fd->own_fd < 0 || !S_ISREG(fd->stat->st_mode) ||
	    fstatfs(fd->own_fd, &fs) < 0)
		return NONE;
	if (fs.f_type == SECRETMEM_MAGIC)
		return SECRET;
	if (fs.f_type == HUGETLBFS_MAGIC)
		return HUGE_MEMFD;
	if (fs.f_type == TMPFS_MAGIC && mapping_shmem_device(&dev, &err) == 0 &&
	    fd->stat->st_dev == dev)
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

	(void)ctx;
	(void)err;
	if (kind == HUGE_MEMFD)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "use transparent huge pages",
			     "memory of hugetlbfs: %s", fd->link);
	if (kind == SECRET)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "use ordinary memory",
			     "secret memory (memfd_secret)");
	return 0;
}

static int memfd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct err *err)
{
	MemfdRecord rec = MEMFD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;

	open.object = fd->object;
	open.flags = fd->flags;
	open.position = fd->position;
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
	/* What open(2) or fcntl(2) can give; nothing that has an effect. */
	const int keep = O_ACCMODE | O_APPEND | O_NONBLOCK | O_NOATIME |
			 O_SYNC | O_DSYNC | O_PATH | O_NOFOLLOW;
	const MemfdRecord *rec = (const MemfdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int shmem_fd = e->get_fd(e->arg, rec->shmem);
	auto_close int fd = -EBADF;
	char path[64];

	if (shmem_fd < 0 || !e->find(e->arg, TAG_SHMEM, rec->shmem))
		return err_set(err, -EBADMSG, "memfd %u: no memory %u",
			       rec->open->object, rec->shmem);
	/* A second description of the same file, with a mode of its own. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", shmem_fd);
	fd = open(path, ((int)rec->open->flags & keep & ~O_NOFOLLOW) |
			O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "memfd %u: open", rec->open->object);
	if (!(rec->open->flags & O_PATH) &&
	    lseek(fd, rec->open->position, SEEK_SET) < 0)
		return err_sys(err, "memfd %u: position", rec->open->object);
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

const struct resource_ops res_memfd = {
	.name = "memfd",
	.tag = TAG_MEMFD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = memfd_match,
	.check_file = memfd_check,
	.dump_file = memfd_dump,
	.restore_file = memfd_restore,
};
