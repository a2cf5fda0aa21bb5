/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/next.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/small.h"

#define NAME "next"

#define LINE_SIZE 128

int next_write(int job_fd, const struct user_id *user,
	       const struct next_start *next, struct err *err)
{
	char text[LINE_SIZE];

	snprintf(text, sizeof(text), "%s %u %u %" PRIu64 "\n", next->source,
		 next->generation, next->over, next->submitted);
	return small_write(job_fd, user, NAME, text, strlen(text), err);
}

int next_read(int job_fd, const struct user_id *user, struct next_start *ret,
	      struct err *err)
{
	struct next_start next = { 0 };
	char text[LINE_SIZE];
	int r = small_read(job_fd, user, NAME, text, sizeof(text), err);

	if (r < 0)
		return r;
	if (sscanf(text, "%63[0-9] %10u %10u %20" SCNu64, next.source,
		   &next.generation, &next.over, &next.submitted) != 4 ||
	    !next.generation)
		return err_set(err, -EBADMSG, "%s: not one of ours", NAME);
	*ret = next;
	return 0;
}
