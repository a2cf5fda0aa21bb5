/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted in a directory is found by its name, and not entered. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/mounted_below.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

/* A name with what mountinfo has in other words. */
#define ODD "a \\ b"

static char base[] = "/tmp/jobcr-mounted.XXXXXX";

static int below(const char *name, struct err *err)
{
	char path[128];

	*err = (struct err){ 0 };
	snprintf(path, sizeof(path), "%s/%s", base, name);
	return mounted_below(path, err);
}

static void test_names(void)
{
	struct err err;

	ok(below("plain", &err) == 0, "nothing is mounted in it");
	ok(below(ODD, &err) == -EXDEV && strstr(err.text, "/" ODD "/deep:"),
	   "below it: %s", err.text);
	ok(below(ODD "/deep", &err) == -EXDEV, "it is one: %s", err.text);
	ok(below("a", &err) == 0 && below(ODD "/de", &err) == 0,
	   "another name that begins as it does");
	ok(below("link/" ODD, &err) == -EXDEV, "links above it: %s", err.text);
	ok(below("none/x", &err) == -ENOENT, "there is none: %s", err.text);
}

static void test_stat(void)
{
	auto_close int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int odd =
		openat(fd, ODD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st = { 0 }, same = { 0 };
	struct err err = { 0 };

	(void)fstatat(fd, "plain", &same, 0);
	ok(stat_unmounted(fd, "plain", &st, &err) == 0 &&
		   st.st_ino == same.st_ino,
	   "a directory");
	ok(stat_unmounted(odd, "deep", &st, &err) == -EXDEV &&
		   st.st_ino == same.st_ino,
	   "one that something is mounted on: %s", err.text);
	ok(stat_unmounted(fd, "link", &st, &err) < 0, "a link: %s", err.text);
	ok(stat_unmounted(fd, "none", &st, &err) == -ENOENT, "none: %s",
	   err.text);
}

int main(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip_all("needs root, to mount");
	if (!mkdtemp(base) || chdir(base) < 0 || mkdir("plain", 0700) < 0 ||
	    mkdir("a", 0700) < 0 || mkdir(ODD, 0700) < 0 ||
	    mkdir(ODD "/deep", 0700) < 0 || symlink(".", "link") < 0 ||
	    mount("tmpfs", ODD "/deep", "tmpfs", 0, NULL) < 0)
		skip_all("a tmpfs cannot be mounted: %s", strerror(errno));
	test_names();
	test_stat();
	(void)umount(ODD "/deep");
	(void)rmdir(ODD "/deep");
	(void)rmdir(ODD);
	(void)rmdir("a");
	(void)rmdir("plain");
	(void)unlink("link");
	(void)rmdir(base);
	return done_testing();
}
