/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_MOUNTED_BELOW_H
#define JOBCR_KERNEL_MOUNTED_BELOW_H

#include <sys/stat.h>

#include "util/err.h"

/*
 * Where is something mounted on a directory, or below it?  A user who owns a
 * directory may mount a file system of his own there (FUSE), which answers when
 * it likes.  dir: absolute; its own last part is not looked at, and may be what
 * is mounted.
 *
 * -EXDEV: there is, and *err says where.
 */
int mounted_below(const char *dir, struct err *err);

/*
 * A directory in dir_fd, and no link; what is mounted on it is asked nothing:
 * -EXDEV, and *ret is as it was.
 */
int stat_unmounted(int dir_fd, const char *name, struct stat *ret,
		   struct err *err);

#endif
