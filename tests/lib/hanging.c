/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hanging.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

int mount_hanging(const char *dir, int *ret_fd)
{
	char options[64];

	*ret_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=41777,user_id=0,group_id=0", *ret_fd);
	if (*ret_fd < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("hangs", dir, "fuse", 0, options);
}
