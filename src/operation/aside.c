/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Rename one of NAME and .NAME.jobcr-JOBID to the other. */
static int swap(const char *path, const char *job_id, bool back,
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
	if (renameat(dir, back ? aside : name, dir, back ? name : aside) < 0 &&
	    errno != ENOENT)
		return err_sys(err, "output file %s: put %s", path,
			       back ? "back" : "aside");
	return 0;
}

static int as_owner(const char *path, const char *job_id,
		    const struct user_id *user, bool back, struct err *err)
{
	int r = as_user(user, err);

	if (r < 0)
		return r;
	r = swap(path, job_id, back, err);
	as_root();
	return r;
}

int aside_put(const char *path, const char *job_id, const struct user_id *user,
	      struct err *err)
{
	return as_owner(path, job_id, user, false, err);
}

int aside_take_back(const char *path, const char *job_id,
		    const struct user_id *user, struct err *err)
{
	return as_owner(path, job_id, user, true, err);
}
