// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/eventfd_copy.h"

static bool eventfd_match(const struct fd_view *fd)
{
	return !strcmp(fd->link, "anon_inode:[eventfd]");
}

/*
 * Linux 6.5 tells whether it is a semaphore.  Before, somebody has to try
 * whose death the job would not survive.
 */
static int get_semaphore(const struct dump_ctx *ctx, const struct fd_view *fd,
			 bool *ret, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_close int file = -EBADF;
	struct eventfd_copy copy;
	uint64_t mode;
	int r;

	if (strstr(fd->fdinfo, "\neventfd-semaphore:")) {
		r = proc_text_u64(fd->fdinfo, "eventfd-semaphore", 10, &mode,
				  err);
		*ret = r == 0 && mode != 0;
		return r;
	}
	r = e->copy_out(e->arg, COPY_EVENTFD, fd->own_fd, &file, err);
	if (r < 0)
		return err_wrap(err, r, "whether it is a semaphore");
	if (pread(file, &copy, sizeof(copy), 0) != sizeof(copy))
		return err_set(err, -EIO, "copy of an eventfd");
	*ret = copy.semaphore != 0;
	return 0;
}

static int eventfd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct err *err)
{
	EventfdRecord rec = EVENTFD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	bool semaphore = false;
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r < 0)
		return r;
	r = proc_text_u64(fd->fdinfo, "eventfd-count", 16, &rec.count, err);
	if (r < 0)
		return r;
	r = get_semaphore(ctx, fd, &semaphore, err);
	if (r < 0)
		return r;
	rec.semaphore = semaphore;
	return img_put(ctx->out, TAG_EVENTFD, &rec.base, err);
}

/* eventfd(2) takes 32 bits of count and the mode only at birth: then write. */
static int eventfd_build(const EventfdRecord *rec, struct err *err)
{
	auto_close int fd =
		eventfd(0, EFD_CLOEXEC | (rec->semaphore ? EFD_SEMAPHORE : 0));
	uint64_t count = rec->count;
	int r;

	if (fd < 0)
		return err_sys(err, "eventfd");
	if (count == UINT64_MAX)
		return err_set(err, -EBADMSG, "no counter can be %llu",
			       (unsigned long long)count);
	if (count && write(fd, &count, sizeof(count)) != sizeof(count))
		return err_sys(err, "set count");
	r = open_file_apply(fd, rec->open, err);
	if (r < 0)
		return r;
	return take_fd(&fd);
}

static int eventfd_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			   struct err *err)
{
	const EventfdRecord *rec = (const EventfdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd = eventfd_build(rec, err);

	if (fd < 0)
		return fd;
	return e->set_fd(e->arg, rec->open->object, fd, err);
}

static int eventfd_late(struct restore_ctx *ctx, struct restore_task *task,
			int fd, const ProtobufCMessage *msg, struct err *err)
{
	const EventfdRecord *rec = (const EventfdRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_eventfd = {
	.name = "eventfd",
	.saved = "counter, semaphore mode, flags",
	.tag = TAG_EVENTFD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = eventfd_match,
	.check_file = open_file_check,
	.dump_file = eventfd_dump,
	.restore_file = eventfd_restore,
	.late_file = eventfd_late,
};
