// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"

static bool signalfd_match(const struct fd_view *fd)
{
	return !strcmp(fd->link, "anon_inode:[signalfd]");
}

static int signalfd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct err *err)
{
	SignalfdRecord rec = SIGNALFD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r < 0)
		return r;
	r = proc_text_u64(fd->fdinfo, "sigmask", 16, &rec.mask, err);
	if (r < 0)
		return r;
	return img_put(ctx->out, TAG_SIGNALFD, &rec.base, err);
}

static int signalfd_restore(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err)
{
	const SignalfdRecord *rec = (const SignalfdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	uint64_t mask = rec->mask;
	int r;

	/* The kernel's 64 bits; libc's sigset_t is longer. */
	fd = (int)syscall(__NR_signalfd4, -1, &mask, sizeof(mask), SFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "signalfd");
	r = open_file_apply(fd, rec->open, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

static int signalfd_late(struct restore_ctx *ctx, struct restore_task *task,
			 int fd, const ProtobufCMessage *msg, struct err *err)
{
	const SignalfdRecord *rec = (const SignalfdRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_signalfd = {
	.name = "signalfd",
	.saved = "mask and flags",
	.tag = TAG_SIGNALFD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = signalfd_match,
	.check_file = open_file_check,
	.dump_file = signalfd_dump,
	.restore_file = signalfd_restore,
	.late_file = signalfd_late,
};
