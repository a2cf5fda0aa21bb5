/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/writing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/record.h"

#define PATH_SIZE 512
#define LOOK_NS   200000000

static int open_lock(const char *run_dir, int flags, struct err *err)
{
	char path[PATH_SIZE];
	int fd;

	snprintf(path, sizeof(path), "%s/writing", run_dir);
	fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

int writing_begin(const char *run_dir, int *ret_fd, struct err *err)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	auto_close int fd = open_lock(run_dir, O_CREAT, err);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return err_sys(err, "lock %s/writing", run_dir);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Asked, and not tried: nobody is ever in the way of who writes. */
static bool is_writing(const char *run_dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct err unused;
	auto_close int fd = open_lock(run_dir, 0, &unused);

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
	       lock.l_type != F_UNLCK;
}

void writing_no_room(const char *run_dir)
{
	struct record_no_room rec = { .at_mono = clock_monotonic_ns() };
	struct err unused;

	(void)record_write(run_dir, NULL, RECORD_NO_ROOM, &rec, sizeof(rec),
			   &unused);
}

/* What is not of this boot was long ago. */
static bool is_over(uint64_t since_ns)
{
	uint64_t now = clock_monotonic_ns();

	return since_ns > now ||
	       now - since_ns >= WRITING_WAIT_S * NSEC_PER_SEC;
}

bool writing_may_remove(const char *run_dir, uint64_t since_ns)
{
	struct record_no_room rec;
	struct err unused;

	return !is_writing(run_dir) || is_over(since_ns) ||
	       (record_read(run_dir, NULL, RECORD_NO_ROOM, &rec, sizeof(rec),
			    &unused) == 0 &&
		!is_over(rec.at_mono));
}

void writing_await(const char *run_dir, uint64_t since_ns)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };

	while (!writing_may_remove(run_dir, since_ns))
		nanosleep(&pause, NULL);
}

bool writing_put_off(const char *run_dir, const char *job_id, bool ended)
{
	struct record_later rec;
	char name[RECORD_LATER_SIZE];
	struct err unused;
	bool again;

	snprintf(name, sizeof(name), RECORD_LATER "%s", job_id);
	(void)record_read(run_dir, NULL, name, &rec, sizeof(rec), &unused);
	again = rec.since_mono && !ended;
	if (!rec.since_mono)
		rec.since_mono = clock_monotonic_ns();
	if (again || writing_may_remove(run_dir, rec.since_mono)) {
		record_remove(run_dir, NULL, name);
		return false;
	}
	rec.ended |= ended;
	return record_write(run_dir, NULL, name, &rec, sizeof(rec), &unused) ==
	       0;
}
