/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/attempts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/small.h"
#include "storage/store.h"
#include "util/cleanup.h"

#define NAME      "attempts"
#define FORMAT    "jobcr attempts 1: %u %u %u %u %u\n"
#define TEXT_SIZE 128

int attempts_read(int job_fd, const struct user_id *user, struct attempts *ret,
		  struct err *err)
{
	char text[TEXT_SIZE];
	struct attempts a;
	int r = small_read(job_fd, user, NAME, text, sizeof(text), err);

	memset(ret, 0, sizeof(*ret));
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	if (sscanf(text, FORMAT, &a.bad_from, &a.bad_to, &a.generation,
		   &a.count, &a.died) == 5)
		*ret = a;
	return 0;
}

int attempts_write(int job_fd, const struct user_id *user,
		   const struct attempts *a, struct err *err)
{
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text), FORMAT, a->bad_from, a->bad_to,
		 a->generation, a->count, a->died);
	return small_write(job_fd, user, NAME, text, strlen(text), err);
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
