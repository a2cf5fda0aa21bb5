/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The job's IPC namespace: ids and keys of a restored job are then its own to
 * choose, and what it leaves behind ends with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "shim/shim.h"
#include "util/cleanup.h"

#define MQUEUE_MAGIC 0x19800202
#define MQUEUE_DIR   "/dev/mqueue"

/* A new namespace begins with the kernel's values. */
static const char *const limits[] = {
	"/proc/sys/kernel/shmmax",
	"/proc/sys/kernel/shmall",
	"/proc/sys/kernel/shmmni",
	"/proc/sys/kernel/shm_rmid_forced",
	"/proc/sys/kernel/sem",
	"/proc/sys/kernel/msgmax",
	"/proc/sys/kernel/msgmnb",
	"/proc/sys/kernel/msgmni",
	"/proc/sys/fs/mqueue/queues_max",
	"/proc/sys/fs/mqueue/msg_max",
	"/proc/sys/fs/mqueue/msgsize_max",
	"/proc/sys/fs/mqueue/msg_default",
	"/proc/sys/fs/mqueue/msgsize_default",
};

struct limit {
	char text[96];
	ssize_t len; /* negative: this kernel has none */
};

static void read_limit(const char *path, struct limit *ret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	ret->len = fd < 0 ? -1 : read(fd, ret->text, sizeof(ret->text) - 1);
}

/* Where /proc/sys may not be written, in a container, they stay. */
static void write_limit(const char *path, const struct limit *limit)
{
	auto_close int fd = -EBADF;

	if (limit->len <= 0)
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, limit->text, (size_t)limit->len);
}

static int show_queues(void)
{
	struct statfs fs;

	if (statfs(MQUEUE_DIR, &fs) < 0 || fs.f_type != MQUEUE_MAGIC)
		return 0;
	return mount("mqueue", MQUEUE_DIR, "mqueue",
		     MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
		       ? -errno
		       : 0;
}

int ipc_make(void)
{
	struct limit values[ARRAY_SIZE(limits)];

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		read_limit(limits[i], &values[i]);
	if (unshare(CLONE_NEWIPC) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		write_limit(limits[i], &values[i]);
	return show_queues();
}
