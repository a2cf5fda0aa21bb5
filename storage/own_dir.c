/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/own_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int own_dir_open(const char *store, const char *cluster, const char *name,
		 int *ret_fd, uid_t *ret_uid, struct err *err)
{
	auto_close int store_fd =
		open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int cluster_fd = -EBADF;
	auto_close int fd = -EBADF;
	struct stat st;

	if (store_fd < 0)
		return err_sys(err, "%s", store);
	/* A squashed root cannot, and need not when it is there. */
	(void)mkdirat(store_fd, cluster, 0755);
	cluster_fd = openat(store_fd, cluster, FLAGS);
	if (cluster_fd < 0)
		return err_sys(err, "%s/%s", store, cluster);
	if (mkdirat(cluster_fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "%s/%s/%s: create", store, cluster, name);
	fd = openat(cluster_fd, name, FLAGS);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s/%s/%s", store, cluster, name);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
			       "%s/%s/%s: others can write there (mode %04o): "
			       "not trusted; remove it",
			       store, cluster, name, st.st_mode & 07777);
	*ret_uid = st.st_uid;
	*ret_fd = take_fd(&fd);
	return 0;
}

int own_dir_check(const char *name, int fd, uid_t dir_uid, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", name);
	if (st.st_uid != dir_uid)
		return err_set(err, -EPERM,
			       "%s belongs to uid %u: not trusted; remove it",
			       name, dir_uid);
	return 0;
}
