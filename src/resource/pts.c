// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/pts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define PTS_MAJOR 136

static dev_t device(uint32_t number)
{
	return makedev((number >> 8) & 0xfff,
		       (number & 0xff) | ((number >> 12) & ~0xffu));
}

static bool by_device(dev_t dev, uint32_t *ret_index)
{
	*ret_index = minor(dev);
	return major(dev) == PTS_MAJOR;
}

bool pts_by_number(uint32_t tty_nr, uint32_t *ret_index)
{
	return tty_nr && by_device(device(tty_nr), ret_index);
}

bool pts_by_file(const struct dump_ctx *ctx, const struct fd_view *fd,
		 uint32_t *ret_index, bool *ret_hung_up)
{
	const int pts = ctx->options->pts_fd;
	struct termios settings;
	unsigned int number;
	struct stat st;

	*ret_hung_up = false;
	if (pts < 0 || fstat(pts, &st) < 0 || fd->flags & O_PATH)
		return false;
	if (fd->stat->st_dev == st.st_dev) {
		*ret_hung_up = ioctl(fd->own_fd, TCGETS, &settings) < 0 &&
			       errno == EIO;
		return by_device(fd->stat->st_rdev, ret_index);
	}
	/* /dev/tty */
	return fd->stat->st_rdev == makedev(5, 0) &&
	       ioctl(fd->own_fd, TIOCGDEV, &number) == 0 &&
	       by_device(device(number), ret_index);
}

bool pts_by_master(const struct dump_ctx *ctx, int master, uint32_t *ret_index,
		   struct stat *ret)
{
	char name[16];
	uint32_t index;

	if (ctx->options->pts_fd < 0 || ioctl(master, TIOCGPTN, ret_index) < 0)
		return false;
	snprintf(name, sizeof(name), "%u", *ret_index);
	return fstatat(ctx->options->pts_fd, name, ret, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       by_device(ret->st_rdev, &index) && index == *ret_index;
}

int pts_object(const struct dump_ctx *ctx, uint32_t index, uint32_t *ret,
	       bool *ret_new, struct err *err)
{
	return object_get(ctx->objects, OBJECT_PTY, index, 0, 0, ret, ret_new,
			  err);
}
