/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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

int catalog_empty(int dir_fd, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int r = catalog_opendir(dir_fd, &dir, err);

	if (r < 0)
		return r;
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (unlinkat(dir_fd, d->d_name, 0) < 0 && errno != ENOENT)
			return err_sys(err, "%s: remove", d->d_name);
	}
	return errno ? err_sys(err, "read the directory") : 0;
}
