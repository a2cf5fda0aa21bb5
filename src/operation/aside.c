/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

enum way {
	WAY_ASIDE,
	WAY_BACK, /* over whatever is there */
	WAY_UNDO, /* only if nothing is there */
};

/*
 * File systems that cannot do it in one call are asked first: only Slurm
 * makes these files, and not while the job runs.
 */
static int rename_noreplace(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno == EEXIST ? 0 : -1;
	if (faccessat(dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return renameat(dir, from, dir, to);
}

static int do_rename(int dir, const char *name, const char *aside, enum way way)
{
	switch (way) {
	case WAY_ASIDE:
		return renameat(dir, name, dir, aside);
	case WAY_BACK:
		return renameat(dir, aside, dir, name);
	default:
		return rename_noreplace(dir, aside, name);
	}
}

/* Rename one of NAME and .NAME.jobcr-JOBID to the other. */
static int swap(const char *path, const char *job_id, enum way way,
		struct err *err)
{
	const char *name = strrchr(path, '/');
	auto_close int dir = -EBADF;
	char above[PATH_MAX], aside[NAME_MAX + 1];
	int n;

	if (!name || !name[1] || (size_t)(name - path) >= sizeof(above))
		return err_num(err, EINVAL, "output file %s", path);
	snprintf(above, sizeof(above), "%.*s", (int)(name - path), path);
	name++;
	n = snprintf(aside, sizeof(aside), ".%s.jobcr-%s", name, job_id);
	if (n < 0 || (size_t)n >= sizeof(aside))
		return err_num(err, ENAMETOOLONG, "output file %s", path);
	dir = open(*above ? above : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, "directory of output file %s", path);
	if (do_rename(dir, name, aside, way) < 0 && errno != ENOENT)
		return err_sys(err, "output file %s: put %s", path,
			       way == WAY_ASIDE ? "aside" : "back");
	return 0;
}

static int as_owner(const char *path, const char *job_id,
		    const struct user_id *user, enum way way, struct err *err)
{
	int r = as_user(user, err);

	if (r < 0)
		return r;
	r = swap(path, job_id, way, err);
	as_root();
	return r;
}

int aside_put(const char *path, const char *job_id, const struct user_id *user,
	      struct err *err)
{
	return as_owner(path, job_id, user, WAY_ASIDE, err);
}

int aside_take_back(const char *path, const char *job_id,
		    const struct user_id *user, struct err *err)
{
	return as_owner(path, job_id, user, WAY_BACK, err);
}

int aside_undo(const char *path, const char *job_id, const struct user_id *user,
	       struct err *err)
{
	return as_owner(path, job_id, user, WAY_UNDO, err);
}

/* Each of its output files, all of them tried; the first error counts. */
static int each_output(const struct control_info *info,
		       int (*act)(const char *, const char *,
				  const struct user_id *, struct err *),
		       struct err *err)
{
	const char *paths[] = { info->stdout_path, info->stderr_path };
	struct user_id user;
	struct err other;
	size_t i;
	int r = user_id_load(info->uid, info->gid, &user, err);

	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (*paths[i] &&
		    act(paths[i], info->job_id, &user, r < 0 ? &other : err) <
			    0 &&
		    r == 0)
			r = err->code;
	user_id_done(&user);
	return r;
}

int aside_put_outputs(const struct control_info *info, struct err *err)
{
	return each_output(info, aside_put, err);
}

int aside_take_back_outputs(const struct control_info *info, struct err *err)
{
	return each_output(info, aside_take_back, err);
}

int aside_undo_outputs(const struct control_info *info, struct err *err)
{
	return each_output(info, aside_undo, err);
}
