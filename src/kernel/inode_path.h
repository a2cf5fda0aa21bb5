/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_INODE_PATH_H
#define JOBCR_KERNEL_INODE_PATH_H

#include <fcntl.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * A path of the inode behind a handle (name_to_handle_at(2)) on a device, in
 * the mount namespace of a process; owned by the caller.  It leads there at
 * this moment and may be one of several.  -ENOENT: none is known, the inode is
 * gone, or no mount of that device is visible there.
 */
int inode_path(int proc_fd, dev_t device, struct file_handle *handle,
	       char **ret, struct err *err);

#endif
