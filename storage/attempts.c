/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"

#define NAME      "attempts"
#define FORMAT    "jobcr attempts 1: %u %u %u %u %u\n"
#define TEXT_SIZE 128

int attempts_read(int job_fd, const struct user_id *user, struct attempts *ret,
		  struct err *err)
{
	auto_close int fd = -EBADF;
	char text[TEXT_SIZE];
	struct attempts a;
	struct stat st;
	ssize_t n;
	int r = as_user(user, err);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	/* The user may have put a FIFO there. */
	fd = openat(job_fd, NAME,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	r = fd < 0 && errno != ENOENT && errno != ELOOP ? err_sys(err, NAME)
							: 0;
	as_root();
	if (r < 0 || fd < 0)
		return r;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_sys(err, "%s: read", NAME);
	text[n] = '\0';
	if (sscanf(text, FORMAT, &a.bad_from, &a.bad_to, &a.generation,
		   &a.count, &a.died) == 5)
		*ret = a;
	return 0;
}

static int put(int job_fd, const char *text, struct err *err)
{
	static const char fresh[] = NAME ".new";
	auto_close int fd = -EBADF;
	int r;

	(void)unlinkat(job_fd, fresh, 0);
	fd = openat(job_fd, fresh,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", fresh);
	r = write_all(fd, text, strlen(text), err);
	if (r < 0)
		return r;
	return renameat(job_fd, fresh, job_fd, NAME) < 0 ? err_sys(err, NAME)
							 : 0;
}

int attempts_write(int job_fd, const struct user_id *user,
		   const struct attempts *a, struct err *err)
{
	char text[TEXT_SIZE];
	int r = as_user(user, err);

	if (r < 0)
		return r;
	snprintf(text, sizeof(text), FORMAT, a->bad_from, a->bad_to,
		 a->generation, a->count, a->died);
	r = put(job_fd, text, err);
	as_root();
	return r;
}

int attempts_choose(int job_fd, const struct user_id *user,
		    const struct attempts *a, uint32_t *ret, struct err *err)
{
	auto_free struct store_generation *list = NULL;
	size_t count, i;
	int r = store_list(job_fd, user, &list, &count, err);

	if (r < 0)
		return r;
	*ret = 0;
	for (i = 0; i < count; i++) {
		uint32_t n = list[i].number;

		if (list[i].complete && !list[i].late &&
		    (n < a->bad_from || n > a->bad_to))
			*ret = n;
	}
	return 0;
}
