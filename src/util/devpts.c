/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/devpts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int devpts_mount(struct err *err)
{
	char options[64];

	snprintf(options, sizeof(options),
		 "newinstance,ptmxmode=0666,mode=0620,gid=%d", DEVPTS_GID);
	if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  options) < 0)
		return err_sys(err, "mount a devpts on /dev/pts");
	return 0;
}

int devpts_mount_in(int mnt_fd, struct err *err)
{
	auto_close int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0)
		return err_sys(err, "mount namespace");
	if (setns(mnt_fd, CLONE_NEWNS) < 0)
		return err_sys(err, "enter the job's mount namespace");
	r = devpts_mount(err);
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sys(err, "return to the mount namespace");
	return r;
}

bool devpts_is_own(pid_t pid)
{
	struct stat here, there;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/dev/pts", (int)pid);
	return stat("/dev/pts", &here) == 0 && stat(path, &there) == 0 &&
	       here.st_dev != there.st_dev;
}
