/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/store.h"
#include "util/cleanup.h"

#define DIGITS 10

void generation_name(char name[GENERATION_NAME_SIZE], uint32_t number,
		     bool under_way)
{
	snprintf(name, GENERATION_NAME_SIZE, "%010u%s", number,
		 under_way ? ".new" : "");
}

static bool parse_name(const char *name, struct catalog_entry *ret)
{
	uint64_t number = 0;
	unsigned int i;

	for (i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(name[i] - '0');
	}
	if (!number || number > STORE_GENERATION_MAX)
		return false;
	ret->number = (uint32_t)number;
	ret->under_way = strcmp(name + DIGITS, ".new") == 0;
	return ret->under_way || !name[DIGITS];
}

static int by_number(const void *a, const void *b)
{
	const struct catalog_entry *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->under_way - y->under_way;
}

int catalog_opendir(int dir_fd, DIR **ret, struct err *err)
{
	auto_close int fd =
		openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return err_sys(err, "read the directory");
	(void)take_fd(&fd);
	*ret = dir;
	return 0;
}

int catalog_read(int job_fd, struct catalog_entry **ret, size_t *ret_count,
		 struct err *err)
{
	auto_free struct catalog_entry *list = NULL;
	auto_closedir DIR *dir = NULL;
	size_t count = 0, room = 0;
	struct dirent *d;
	int r = catalog_opendir(job_fd, &dir, err);

	if (r < 0)
		return r;
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		struct catalog_entry e, *more;

		if (!parse_name(d->d_name, &e))
			continue;
		if (count == room) {
			room = room ? 2 * room : 16;
			more = reallocarray(list, room, sizeof(*list));
			if (!more)
				return err_num(err, ENOMEM, "generations");
			list = more;
		}
		list[count++] = e;
	}
	if (errno)
		return err_sys(err, "read the directory");
	if (count)
		qsort(list, count, sizeof(*list), by_number);
	*ret = take_ptr(list);
	*ret_count = count;
	return 0;
}

/* What a user has made in it: not without end. */
#define BELOW_DEPTH 16
#define BELOW_MAX   65536

/*
 * Nothing of ours is a directory.  What is in one that a user has made goes
 * with their rights; links are not followed, and what is mounted there stays.
 */
static int open_below(int dir_fd, const char *name)
{
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY |
					       O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_NO_XDEV |
						 RESOLVE_NO_SYMLINKS |
						 RESOLVE_BENEATH };

	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

/* Directories that are being emptied, each in the one before it. */
struct descent {
	struct level {
		DIR *dir; /* read as it is emptied; its descriptor is used */
		char name[NAME_MAX + 1];
	} levels[BELOW_DEPTH];
	unsigned int depth;
	unsigned int count; /* of what was met below */
	struct err *err;    /* of the first thing that stays */
	int r;
};

static void stays(struct descent *d, const char *name, const char *why)
{
	if (d->r == 0)
		d->r = why ? err_set(d->err, -ENOTEMPTY, "%.255s: %s", name,
				     why)
			   : err_sys(d->err, "%.255s: remove", name);
}

static void descend(struct descent *d, int dir_fd, const char *name)
{
	struct level *to = &d->levels[d->depth];
	auto_close int fd = -EBADF;

	if (d->depth == BELOW_DEPTH) {
		stays(d, name, "too deep: remove it by hand");
		return;
	}
	fd = open_below(dir_fd, name);
	to->dir = fd < 0 ? NULL : fdopendir(fd);
	if (!to->dir) {
		stays(d, name, NULL);
		return;
	}
	(void)take_fd(&fd);
	snprintf(to->name, sizeof(to->name), "%s", name);
	d->depth++;
}

/* Also where something in it stays: then it says so. */
static void ascend(struct descent *d)
{
	const struct level *from = &d->levels[--d->depth];

	closedir(from->dir);
	if (d->depth && unlinkat(dirfd(d->levels[d->depth - 1].dir), from->name,
				 AT_REMOVEDIR) < 0)
		stays(d, from->name, NULL);
}

static void remove_entry(struct descent *d, int dir_fd, const char *name)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return;
	if (errno == EISDIR)
		descend(d, dir_fd, name);
	else
		stays(d, name, NULL);
}

static void empty(struct descent *d)
{
	while (d->depth) {
		DIR *dir = d->levels[d->depth - 1].dir;
		struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e && errno)
			stays(d, "a directory in it", NULL);
		if (!e) {
			ascend(d);
			continue;
		}
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (d->depth > 1 && ++d->count > BELOW_MAX) {
			stays(d, e->d_name, "too much is in there");
			ascend(d);
			continue;
		}
		remove_entry(d, dirfd(dir), e->d_name);
	}
}

int catalog_empty(int dir_fd, struct err *err)
{
	struct descent d = { .depth = 1, .err = err };
	int r = catalog_opendir(dir_fd, &d.levels[0].dir, err);

	if (r < 0)
		return r;
	empty(&d);
	return d.r;
}

/* Opened anew: who sees it by NFS asks the server then. */
bool catalog_has_name(int job_fd, uint32_t number, bool under_way, int dir_fd)
{
	auto_close int fd =
		openat(job_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[GENERATION_NAME_SIZE];
	struct stat named, st;

	generation_name(name, number, under_way);
	return fd >= 0 && fstat(dir_fd, &st) == 0 &&
	       fstatat(fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       named.st_dev == st.st_dev && named.st_ino == st.st_ino;
}

int catalog_rename(int dir_fd, const char *from, const char *to)
{
	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	/* Not all file systems know the flag; the lock and O_EXCL hold. */
	if (errno != EINVAL || faccessat(dir_fd, to, F_OK, 0) == 0)
		return -1;
	return renameat(dir_fd, from, dir_fd, to);
}

static bool has(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int catalog_take_back(int job_fd, uint32_t number, int dir_fd, struct err *err)
{
	char live[GENERATION_NAME_SIZE], dead[GENERATION_NAME_SIZE];

	if (!has(dir_fd, "manifest") || !has(dir_fd, STORE_KEPT))
		return 0;
	generation_name(live, number, false);
	generation_name(dead, number, true);
	if (fsync(dir_fd) < 0 || catalog_rename(job_fd, dead, live) < 0)
		return err_sys(err, "%s: it is kept: rename", dead);
	return fsync(job_fd) < 0
		       ? err_sys(err, "%s: fsync of the directory above", live)
		       : 1;
}
