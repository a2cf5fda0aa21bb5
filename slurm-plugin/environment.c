/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "environment.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define VARIABLE  "JOBCR_ENV_FILE"
#define PATH_SIZE 4096

static void make_path(const char *run_dir, const char *job, char *ret)
{
	snprintf(ret, PATH_SIZE, "%s/env/%s", run_dir, job);
}

/* Everybody may pass, nobody may look around. */
static int make_dir(const char *run_dir, struct err *err)
{
	char path[PATH_SIZE];

	(void)mkdir(run_dir, 0755);
	make_path(run_dir, "", path);
	if (mkdir(path, 0711) == 0)
		return chmod(path, 0711) < 0 ? err_sys(err, "%s", path) : 0;
	return errno == EEXIST ? 0 : err_sys(err, "%s", path);
}

int environment_open(const char *run_dir, const char *job, uid_t uid, gid_t gid,
		     int *ret_fd, struct err *err)
{
	auto_close int fd = -EBADF;
	char path[PATH_SIZE];
	int r = make_dir(run_dir, err);

	if (r < 0)
		return r;
	make_path(run_dir, job, path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, "%s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	/* The job's umask may be any. */
	if (fd < 0 || fchmod(fd, 0600) < 0 || fchown(fd, uid, gid) < 0)
		return err_sys(err, "%s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* A shell takes nothing else for a variable. */
static bool is_name(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (text[i] != '_' && !isalpha((unsigned char)text[i]) &&
		    (i == 0 || !isdigit((unsigned char)text[i])))
			return false;
	return len > 0;
}

/* Between quotes a shell takes everything as it is, but for the quote. */
static void print_one(FILE *f, const char *entry)
{
	const char *p = strchr(entry, '=');

	if (!p || !is_name(entry, (size_t)(p - entry)))
		return;
	fprintf(f, "export %.*s='", (int)(p - entry), entry);
	while (*++p) {
		if (*p == '\'')
			fputs("'\\''", f);
		else
			fputc(*p, f);
	}
	fputs("'\n", f);
}

int environment_write(spank_t spank, const char *run_dir, const char *job,
		      int fd, struct err *err)
{
	char path[PATH_SIZE], **env = NULL;
	FILE *f = fdopen(fd, "w");

	make_path(run_dir, job, path);
	if (!f) {
		close(fd);
		return err_sys(err, "%s", path);
	}
	if (spank_setenv(spank, VARIABLE, path, 1) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_ENV, &env) != ESPANK_SUCCESS || !env) {
		fclose(f);
		return err_set(err, -EIO,
			       "Slurm does not tell the environment");
	}
	for (; *env; env++)
		print_one(f, *env);
	return fclose(f) != 0 ? err_sys(err, "%s", path) : 0;
}

void environment_remove(const char *run_dir, const char *job)
{
	char path[PATH_SIZE];

	make_path(run_dir, job, path);
	(void)unlink(path);
}
