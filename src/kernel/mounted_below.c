/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/mounted_below.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/* As /proc/PID/mountinfo has it: links are followed in the directory above. */
static int real_path(const char *dir, char ret[PATH_MAX], struct err *err)
{
	const char *name = strrchr(dir, '/');
	char above[PATH_MAX], real[PATH_MAX];

	if (!name || snprintf(above, sizeof(above), "%.*s/", (int)(name - dir),
			      dir) >= PATH_MAX)
		return err_num(err, ENAMETOOLONG, "%s", dir);
	if (!realpath(above, real))
		return err_sys(err, "%s", above);
	if (snprintf(ret, PATH_MAX, "%s%s", real[1] ? real : "", name) >=
	    PATH_MAX)
		return err_num(err, ENAMETOOLONG, "%s", dir);
	return 0;
}

/* Blanks and backslashes are \ooo there. */
static void unescape(char *s)
{
	char *to = s;
	unsigned int c;

	for (; *s; s++) {
		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

static int look(FILE *f, const char *dir, struct err *err)
{
	auto_free char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, f) > 0) {
		char *at = NULL, *left = line;

		for (int field = 0; field < 5 && left; field++)
			at = strsep(&left, " ");
		if (!left)
			continue;
		unescape(at);
		if (is_below(at, dir))
			return err_set(err, -EXDEV,
				       "%s: something is mounted there, which "
				       "is not entered",
				       at);
	}
	return ferror(f) ? err_sys(err, "mountinfo") : 0;
}

int mounted_below(const char *dir, struct err *err)
{
	auto_fclose FILE *f = NULL;
	char real[PATH_MAX];
	int r = real_path(dir, real, err);

	if (r < 0)
		return r;
	f = fopen("/proc/self/mountinfo", "re");
	return f ? look(f, real, err) : err_sys(err, "mountinfo");
}

int stat_unmounted(int dir_fd, const char *name, struct stat *ret,
		   struct err *err)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	auto_close int fd =
		(int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

	return fd < 0 || fstat(fd, ret) < 0 ? err_sys(err, "%s", name) : 0;
}
