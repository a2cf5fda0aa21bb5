/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/next.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define NAME  "next"
#define FRESH "next.new"

#define LINE_SIZE 128

static int write_file(int job_fd, const char *text, struct err *err)
{
	auto_close int fd = -EBADF;
	int r;

	if (unlinkat(job_fd, FRESH, 0) < 0 && errno != ENOENT)
		return err_sys(err, "%s: unlink", FRESH);
	fd = openat(job_fd, FRESH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_sys(err, "%s", FRESH);
	r = write_all(fd, text, strlen(text), err);
	if (r < 0)
		return err_wrap(err, r, "%s", FRESH);
	if (fsync(fd) < 0 || renameat(job_fd, FRESH, job_fd, NAME) < 0)
		return err_sys(err, "%s", NAME);
	return 0;
}

int next_write(int job_fd, const struct user_id *user,
	       const struct next_start *next, struct err *err)
{
	char text[LINE_SIZE];
	int r = as_user(user, err);

	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%s %u %u %" PRIu64 "\n", next->source,
		 next->generation, next->over, next->submitted);
	r = write_file(job_fd, text, err);
	as_root();
	return r;
}

int next_read(int job_fd, const struct user_id *user, struct next_start *ret,
	      struct err *err)
{
	struct next_start next = { 0 };
	auto_close int fd = -EBADF;
	char text[LINE_SIZE];
	ssize_t n = -1;
	int r = as_user(user, err);

	if (r < 0)
		return r;
	fd = openat(job_fd, NAME,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		(void)err_sys(err, "%s", NAME);
	as_root();
	if (n < 0)
		return err->code;
	text[n] = '\0';
	if (sscanf(text, "%63[0-9] %10u %10u %20" SCNu64, next.source,
		   &next.generation, &next.over, &next.submitted) != 4 ||
	    !next.generation)
		return err_set(err, -EBADMSG, "%s: not one of ours", NAME);
	*ret = next;
	return 0;
}
