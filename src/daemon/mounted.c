/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/mounted.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/slurm.h"
#include "storage/ended.h"
#include "storage/store.h"
#include "storage/tier.h"
#include "util/cleanup.h"
#include "wire/control.h"

#ifndef ZFS_SUPER_MAGIC
#define ZFS_SUPER_MAGIC 0x2fc12fc1
#endif

/* Of one node: what several share is no such, and Slurm need not be asked. */
static bool is_local(const char *dir)
{
	static const uint32_t types[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC,
		TMPFS_MAGIC,      OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC,
		F2FS_SUPER_MAGIC, SQUASHFS_MAGIC,        ZFS_SUPER_MAGIC,
	};
	struct statfs fs;
	size_t i;

	if (statfs(dir, &fs) < 0)
		return false;
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if ((uint32_t)fs.f_type == types[i])
			return true;
	return false;
}

int mounted_check(const struct conf *conf, const char *job_id,
		  const struct user_id *user, struct err *err)
{
	auto_close int fd = -EBADF;
	char retired[JOB_ID_MAX + sizeof(ENDED_SUFFIX)];
	struct slurm_job job;
	int r;

	if (!is_local(conf->store_dir))
		return 0;
	snprintf(retired, sizeof(retired), "%s" ENDED_SUFFIX, job_id);
	r = store_open_job(conf->store_dir, conf->cluster, retired, false, user,
			   &fd, err);
	if (r != -ENOENT)
		return r;
	r = slurm_query_id(conf->libexec, job_id, &job, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return job.restarts && job.noted
		       ? err_set(err, -EIO,
				 "store %s has nothing of this job, whose "
				 "AdminComment tells of it: is it mounted?",
				 conf->store_dir)
		       : 0;
}

bool mounted_fast(const struct conf *conf)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/" TIER_ROOT,
		       conf->fast_dir ? conf->fast_dir : "", conf->cluster);
	return conf->fast_dir && access(path, F_OK) == 0;
}
