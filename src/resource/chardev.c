// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"

/* Memory devices without state, the same on every Linux. */
static bool is_stateless(unsigned int major, unsigned int minor)
{
	enum {
		MEM_MAJOR = 1,
		NULL_MINOR = 3,
		ZERO_MINOR = 5,
		FULL_MINOR = 7,
		RANDOM_MINOR = 8,
		URANDOM_MINOR = 9
	};

	if (major != MEM_MAJOR)
		return false;
	switch (minor) {
	case NULL_MINOR:
	case ZERO_MINOR:
	case FULL_MINOR:
	case RANDOM_MINOR:
	case URANDOM_MINOR:
		return true;
	default:
		return false;
	}
}

static bool chardev_match(const struct fd_view *fd)
{
	return S_ISCHR(fd->stat->st_mode) && fd->link[0] == '/' &&
	       is_stateless(major(fd->stat->st_rdev), minor(fd->stat->st_rdev));
}

static int chardev_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct err *err)
{
	ChardevRecord rec = CHARDEV_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int r;

	rec.open = &open;
	rec.major = major(fd->stat->st_rdev);
	rec.minor = minor(fd->stat->st_rdev);
	rec.path.data = (uint8_t *)fd->link;
	rec.path.len = strlen(fd->link);
	r = open_file_fill(ctx, fd, &open, err);
	if (r < 0)
		return r;
	return img_put(ctx->out, TAG_CHARDEV, &rec.base, err);
}

static int chardev_open(struct restore_ctx *ctx, const ChardevRecord *rec,
			const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	struct stat st;
	int r;

	/* What is there now may be anything: look before opening it. */
	fd = e->open_path(e->arg, path, O_PATH | O_CLOEXEC, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != rec->major ||
	    minor(st.st_rdev) != rec->minor ||
	    !is_stateless(rec->major, rec->minor))
		return err_set(err, -ENODEV, "%s is not character device %u:%u",
			       path, rec->major, rec->minor);
	r = open_file_looked_at(ctx, path, open_file_flags(rec->open), &st,
				err);
	if (r < 0)
		return r;
	close(fd);
	fd = r;
	r = open_file_apply(fd, rec->open, err);
	if (r < 0)
		return err_wrap(err, r, "%s", path);
	return take_fd(&fd);
}

static int chardev_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			   struct err *err)
{
	const ChardevRecord *rec = (const ChardevRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_free char *path =
		strndup((const char *)rec->path.data, rec->path.len);
	int fd;

	if (!path)
		return err_num(err, ENOMEM, "path");
	fd = chardev_open(ctx, rec, path, err);
	if (fd < 0)
		return fd;
	return e->set_fd(e->arg, rec->open->object, fd, err);
}

static int chardev_late(struct restore_ctx *ctx, struct restore_task *task,
			int fd, const ProtobufCMessage *msg, struct err *err)
{
	const ChardevRecord *rec = (const ChardevRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_chardev = {
	.name = "character device",
	.saved = "null, zero, full, random, urandom",
	.refused = "other devices",
	.tag = TAG_CHARDEV,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = chardev_match,
	.check_file = open_file_check,
	.dump_file = chardev_dump,
	.restore_file = chardev_restore,
	.late_file = chardev_late,
};
