/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/tier_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "storage/store.h"
#include "util/cleanup.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* In a generation of the fast directory: it is in the store as well. */
#define FLUSHED "flushed"

int tier_dir_open(const char *fast, const char *cluster, const char *job,
		  bool create, const struct user_id *user, int *ret_fd,
		  struct err *err)
{
	auto_close int fd = -EBADF;
	int r = store_open_job(fast, cluster, job, create, user, &fd, err);

	if (r == 0 && create)
		r = tier_root_make(fast, cluster, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static bool is_flushed(int fast_fd, uint32_t number)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;

	generation_name(name, number, false);
	fd = openat(fast_fd, name, DIR_FLAGS);
	return fd >= 0 &&
	       faccessat(fd, FLUSHED, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int tier_dir_pending(int fast_fd, const struct user_id *user, uint32_t *ret,
		     struct err *err)
{
	auto_free struct store_generation *all = NULL;
	size_t count;
	int r = store_list(fast_fd, user, &all, &count, err);

	*ret = 0;
	if (r == 0)
		r = begin_as(user, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count && !*ret; i++)
		if (all[i].complete && !*all[i].fast_node &&
		    !is_flushed(fast_fd, all[i].number))
			*ret = all[i].number;
	end_as(user);
	return 0;
}

/*
 * 1: the marks of both are the same.  0: they are not, or there is none in the
 * store.  That it cannot be read is neither: what is here stays.
 */
static int compare(int job_fd, const char *name, const struct tier_mark *mark,
		   struct err *err)
{
	auto_close int fd = openat(job_fd, name, DIR_FLAGS);
	struct tier_mark there;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s", name);
	r = tier_mark_read(fd, NULL, &there, err);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	return r < 0 ? r : tier_mark_same(mark, &there);
}

/* Of a generation in the store that has our mark. */
static int judge(int job_fd, uint32_t number, bool published,
		 enum tier_state *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	int r = published ? store_open(job_fd, number, NULL, &fd, err)
			  : store_check_late(job_fd, number, NULL, err);

	if (r == 0)
		*ret = published ? TIER_STORED : TIER_WAITS;
	else if (published && r == -ENOENT)
		*ret = TIER_UNWANTED;
	else if (!published && r == -EBADMSG)
		*ret = TIER_LATE;
	else
		return r;
	return 0;
}

static int look(int fast_fd, int job_fd, uint32_t number, enum tier_state *ret,
		struct err *err)
{
	char live[GENERATION_NAME_SIZE], fresh[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	struct tier_mark mark;
	int r;

	generation_name(live, number, false);
	generation_name(fresh, number, true);
	fd = openat(fast_fd, live, DIR_FLAGS);
	if (fd < 0)
		return err_sys(err, "%s", live);
	*ret = TIER_UNWANTED;
	r = tier_mark_read(fd, NULL, &mark, err);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	r = compare(job_fd, live, &mark, err);
	if (r > 0)
		return judge(job_fd, number, true, ret, err);
	if (r == 0)
		r = compare(job_fd, fresh, &mark, err);
	return r > 0 ? judge(job_fd, number, false, ret, err) : r;
}

int tier_dir_look(int fast_fd, int job_fd, uint32_t number,
		  const struct user_id *user, enum tier_state *ret,
		  struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = look(fast_fd, job_fd, number, ret, err);
	end_as(user);
	return r;
}

static int settle(int fast_fd, uint32_t number, struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int dir_fd = -EBADF;
	auto_close int fd = -EBADF;

	generation_name(name, number, false);
	dir_fd = openat(fast_fd, name, DIR_FLAGS);
	if (dir_fd < 0)
		return err_sys(err, "%s", name);
	fd = openat(dir_fd, FLUSHED,
		    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0600);
	return fd < 0 ? err_sys(err, "%s/" FLUSHED, name) : 0;
}

int tier_dir_settle(int fast_fd, uint32_t number, const struct user_id *user,
		    struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = settle(fast_fd, number, err);
	end_as(user);
	return r;
}

/* An attempt that nobody holds: its worker has died. */
static int trim_attempt(int fast_fd, uint32_t number, struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	int r;

	generation_name(name, number, true);
	fd = openat(fast_fd, name, DIR_FLAGS);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	r = catalog_empty(fd, err);
	if (r == 0 && unlinkat(fast_fd, name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		r = err_sys(err, "%s: remove", name);
	return r;
}

/* One that is in the store, unless somebody reads it here. */
static int trim_copy(int fast_fd, uint32_t number, struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	int r;

	generation_name(name, number, false);
	fd = openat(fast_fd, name, DIR_FLAGS);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	r = store_remove(fast_fd, number, NULL, err);
	return r == -EBUSY ? 0 : r;
}

static int trim(int fast_fd, bool newest, struct err *err)
{
	auto_free struct catalog_entry *all = NULL;
	uint32_t last = 0;
	size_t count, i;
	int r = catalog_read(fast_fd, &all, &count, err);

	for (i = 0; r == 0 && i < count; i++)
		if (!all[i].under_way)
			last = all[i].number;
	for (i = 0; r == 0 && i < count; i++) {
		uint32_t n = all[i].number;

		if (all[i].under_way)
			r = trim_attempt(fast_fd, n, err);
		else if ((n != last || newest) && is_flushed(fast_fd, n))
			r = trim_copy(fast_fd, n, err);
	}
	return r;
}

int tier_dir_trim(int fast_fd, bool newest, const struct user_id *user,
		  struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = trim(fast_fd, newest, err);
	end_as(user);
	return r;
}

/* What a flush that was killed has left goes; the mark stays throughout. */
static int empty(int dir_fd, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int r = catalog_opendir(dir_fd, &dir, err);

	if (r < 0)
		return r;
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
		    !strcmp(d->d_name, TIER_MARK) ||
		    !strcmp(d->d_name, STORE_KEPT))
			continue;
		if (unlinkat(dir_fd, d->d_name, 0) < 0 && errno != ENOENT)
			return err_sys(err, "%s: remove", d->d_name);
	}
	return errno ? err_sys(err, "read the directory") : 0;
}

static int target(int job_fd, uint32_t number, int *ret_dir_fd, struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	int r;

	generation_name(name, number, true);
	fd = openat(job_fd, name, DIR_FLAGS);
	if (fd < 0)
		return err_sys(err, "%s", name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_set(err, -EBUSY, "%s: in use", name);
	r = empty(fd, err);
	if (r == 0)
		*ret_dir_fd = take_fd(&fd);
	return r;
}

int tier_dir_target(int job_fd, uint32_t number, const struct user_id *user,
		    int *ret_dir_fd, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = target(job_fd, number, ret_dir_fd, err);
	end_as(user);
	return r;
}
