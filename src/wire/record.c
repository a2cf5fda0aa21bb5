/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PATH_SIZE 512

static int make_path(const char *run_dir, const char *job_id, const char *name,
		     const char *suffix, char ret[PATH_SIZE], struct err *err)
{
	int n = job_id ? snprintf(ret, PATH_SIZE, "%s/jobs/%s/%s.%s", run_dir,
				  job_id, name, suffix)
		       : snprintf(ret, PATH_SIZE, "%s/%s.%s", run_dir, name,
				  suffix);

	return n < 0 || n >= PATH_SIZE
		       ? err_num(err, ENAMETOOLONG, "%s", run_dir)
		       : 0;
}

int record_write(const char *run_dir, const char *job_id, const char *name,
		 void *record, size_t size, struct err *err)
{
	const uint32_t magic = RECORD_MAGIC;
	char path[PATH_SIZE], fresh[PATH_SIZE];
	auto_close int fd = -EBADF;
	int r = make_path(run_dir, job_id, name, "rec", path, err);

	if (r == 0)
		r = make_path(run_dir, job_id, name, "new", fresh, err);
	if (r < 0)
		return r;
	memcpy(record, &magic, sizeof(magic));
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return err_sys(err, "%s", fresh);
	if (write(fd, record, size) != (ssize_t)size || rename(fresh, path) < 0)
		return err_sys(err, "%s", path);
	return 0;
}

int record_read(const char *run_dir, const char *job_id, const char *name,
		void *record, size_t size, struct err *err)
{
	auto_close int fd = -EBADF;
	char path[PATH_SIZE], more;
	uint32_t magic = 0;
	int r = make_path(run_dir, job_id, name, "rec", path, err);

	memset(record, 0, size);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, "%s", path);
	if (read(fd, record, size) == (ssize_t)size && read(fd, &more, 1) == 0)
		memcpy(&magic, record, sizeof(magic));
	if (magic == RECORD_MAGIC)
		return 0;
	memset(record, 0, size);
	return err_set(err, -ENOENT, "%s: not of this version", path);
}

void record_remove(const char *run_dir, const char *job_id, const char *name)
{
	char path[PATH_SIZE];
	struct err unused;

	if (make_path(run_dir, job_id, name, "rec", path, &unused) == 0)
		(void)unlink(path);
}

static bool is_record(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".rec") || !strcmp(dot, ".new"));
}

void record_remove_all(const char *run_dir, const char *job_id)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/jobs/%s", run_dir, job_id);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (is_record(entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
}
