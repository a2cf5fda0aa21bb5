/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths of inodes are found, and nobody who watches sees it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/inode_path.h"
#include "kernel/proc.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define PLACE "/mnt"

static union {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} u;

static void test_path(int proc_fd, const char *path)
{
	auto_free char *found = NULL;
	struct err err = { 0 };
	struct stat st;
	int mount;

	u.handle.handle_bytes = MAX_HANDLE_SZ;
	ok(stat(path, &st) == 0 &&
		   name_to_handle_at(AT_FDCWD, path, &u.handle, &mount, 0) ==
			   0 &&
		   inode_path(proc_fd, st.st_dev, &u.handle, &found, &err) ==
			   0 &&
		   !strcmp(found, path),
	   "%s is found: %s", path, found ? found : err.text);
}

int main(void)
{
	auto_close int proc_fd = -EBADF, group = inotify_init1(IN_CLOEXEC);
	struct err err = { 0 };
	char before[4096], after[4096];
	int bytes = 0;

	if (geteuid() != 0)
		skip_all("needs root");
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("test", PLACE, "tmpfs", 0, NULL) < 0)
		skip_all("no mount namespace");
	ok(mkdir(PLACE "/a b", 0700) == 0 &&
		   inotify_add_watch(group, PLACE, IN_ALL_EVENTS) > 0 &&
		   inotify_add_watch(group, PLACE "/a b", IN_ALL_EVENTS) > 0 &&
		   proc_open(getpid(), 0, &proc_fd, &err) == 0 &&
		   getcwd(before, sizeof(before)),
	   "there is something to find");
	test_path(proc_fd, PLACE);
	test_path(proc_fd, PLACE "/a b");
	ok(ioctl(group, FIONREAD, &bytes) == 0 && !bytes,
	   "the search causes no events: %d bytes", bytes);
	ok(getcwd(after, sizeof(after)) && !strcmp(before, after),
	   "and stays where it was");
	return done_testing();
}
