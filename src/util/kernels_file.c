/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/kernels_file.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

#define CONFIGFS_MAGIC 0x62656570 /* in no header */

bool is_kernels_file(int fd)
{
	static const unsigned int kinds[] = {
		PROC_SUPER_MAGIC,    SYSFS_MAGIC,   CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC,    BPF_FS_MAGIC,  EFIVARFS_MAGIC,
		PSTOREFS_MAGIC,      SELINUX_MAGIC, SMACK_MAGIC,
		CONFIGFS_MAGIC,
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if ((unsigned int)st.f_type == kinds[i])
			return true;
	return false;
}
