/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/in_use.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "util/cleanup.h"

#define FILE_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
/* Who has it alone takes the name in the next moment, or lets go. */
#define LOOKS    50
#define PAUSE_NS 20000000

/* Nothing that can be seen says that it was removed. */
static bool is_there(int dir_fd)
{
	auto_close int job_fd =
		openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free struct catalog_entry *all = NULL;
	struct err unused;
	size_t count;

	if (job_fd < 0)
		return errno != ENOENT && errno != ESTALE;
	if (catalog_read(job_fd, &all, &count, &unused) < 0)
		return true;
	for (size_t i = 0; i < count; i++)
		if (!all[i].under_way &&
		    catalog_has_name(job_fd, all[i].number, false, dir_fd))
			return true;
	return false;
}

/* The lock comes first, then the look: the other way round in discard. */
static int enter(int dir_fd, int *ret_fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	auto_close int fd = openat(dir_fd, "manifest", O_RDONLY | FILE_FLAGS);

	for (int i = 0; i < LOOKS; i++) {
		bool ours = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
		bool taken = fd >= 0 && !ours && errno == EWOULDBLOCK;

		if (!is_there(dir_fd))
			return err_set(err, -ENOENT, "it was removed just now");
		if (ours)
			*ret_fd = take_fd(&fd);
		if (!taken)
			break;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int in_use_enter(int dir_fd, const struct user_id *user, int *ret_fd,
		 struct err *err)
{
	int r = begin_as(user, err);

	*ret_fd = -1;
	if (r < 0)
		return r;
	r = enter(dir_fd, ret_fd, err);
	end_as(user);
	return r;
}

/* To be written to: NFS gives nobody else a lock of one's own. */
int in_use_keep_out(int dir_fd, int *ret_fd, struct err *err)
{
	auto_close int fd = openat(dir_fd, "manifest", O_RDWR | FILE_FLAGS);

	*ret_fd = -1;
	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		*ret_fd = take_fd(&fd);
	else if (errno == EWOULDBLOCK)
		return err_set(err, -EBUSY, "somebody reads it");
	return 0;
}

int in_use_blame(int dir_fd, const struct user_id *user, int r, struct err *err)
{
	struct err unused;
	bool there;

	if ((r != -ENOENT && r != -EBADMSG && r != -ENODATA && r != -ESTALE) ||
	    begin_as(user, &unused) < 0)
		return r;
	there = is_there(dir_fd);
	end_as(user);
	return there ? r
		     : err_set(err, -ENOENT,
			       "the snapshot was deleted "
			       "meanwhile");
}
