/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory that a snapshot is written into: what it lies in, and whose. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "worker/worker.h"

#define ALICE 52001

static int enter(uid_t uid, const char *dir, struct err *err)
{
	WorkerRequest req = WORKER_REQUEST__INIT;
	struct work w = { .req = &req, .owner = { .uid = uid, .gid = uid } };
	auto_close int fd = -EBADF;

	req.node = (char *)"here";
	req.dir = (char *)dir;
	return work_open_dir(&w, &fd, err);
}

static void own(const char *dir, uid_t uid, mode_t mode)
{
	if (chown(dir, uid, uid) < 0 || chmod(dir, mode) < 0)
		diag("%s: %s", dir, strerror(errno));
}

static void test_owner(void)
{
	char dir[] = "/tmp/jobcr-dir.XXXXXX";
	struct err err = { 0 };
	int r;

	if (!mkdtemp(dir))
		return;
	own(dir, ALICE, 0700);
	ok(enter(ALICE, dir, &err) == 0, "a user's own: %s", err.text);
	own(dir, 0, 0777);
	ok(enter(ALICE, dir, &err) == 0, "and root's: %s", err.text);
	r = enter(0, dir, &err);
	ok(r == -EPERM && strstr(err.text, dir),
	   "nothing of root's where others write: %s", err.text);
	own(dir, ALICE + 1, 0777);
	r = enter(ALICE, dir, &err);
	ok(r == -EPERM && strstr(err.text, "52002"),
	   "nor of a user's in another one's: %s", err.text);
	(void)rmdir(dir);
}

/* procfs, like autofs, has directories that nobody can flush. */
static void test_above(void)
{
	auto_close int above = open("/proc", O_RDONLY | O_DIRECTORY);
	struct err err = { 0 };

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc/fs", "tmpfs", 0, "mode=0755") < 0) {
		diag("nothing can be mounted: %s", strerror(errno));
		return;
	}
	ok(fsync(above) < 0 && errno == EINVAL, "/proc has no fsync");
	ok(enter(0, "/proc/fs", &err) == 0,
	   "a directory of a disk that lies there is good: %s", err.text);
	(void)umount2("/proc/fs", MNT_DETACH);
}

int main(void)
{
	if (getuid() != 0)
		skip_all("needs root, to be other users");
	test_owner();
	test_above();
	return done_testing();
}
