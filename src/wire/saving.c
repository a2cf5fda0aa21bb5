/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/saving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define PATH_SIZE 512
#define STEP_NS   20000000

static int open_lock(const char *run_dir, const char *job_id, int flags,
		     struct err *err)
{
	char path[PATH_SIZE];
	int fd;

	snprintf(path, sizeof(path), "%s/jobs/%s/saving", run_dir, job_id);
	fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

int saving_begin(const char *run_dir, const char *job_id, int *ret_fd,
		 struct err *err)
{
	auto_close int fd = open_lock(run_dir, job_id, O_CREAT, err);

	if (fd < 0)
		return fd;
	/* Waits for an epilog that just looks, no longer. */
	while (flock(fd, LOCK_SH) < 0)
		if (errno != EINTR)
			return err_sys(err, "lock of job %s", job_id);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* A lock cannot be waited for with a limit, so it is tried. */
int saving_await(const char *run_dir, const char *job_id,
		 unsigned int timeout_s, struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + timeout_s * NSEC_PER_SEC;
	struct timespec step = { .tv_nsec = STEP_NS };
	auto_close int fd = open_lock(run_dir, job_id, 0, err);

	/* Never saved, or gone with its directory. */
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, "lock of job %s", job_id);
		if (clock_monotonic_ns() >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "its snapshot is not whole after %u s, "
				       "and is not waited for any longer",
				       timeout_s);
		nanosleep(&step, NULL);
	}
	return 0;
}
