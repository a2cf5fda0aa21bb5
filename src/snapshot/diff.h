/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_DIFF_H
#define JOBCR_SNAPSHOT_DIFF_H

#include <stdbool.h>
#include <stdio.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * What differs between two snapshots: processes, mappings with how much of
 * their memory, files, sizes and times.  Memory is compared by the hashes of
 * runs of pages: where two runs do not begin and end alike all of them counts
 * as different.  No pages are read.
 */
struct diff_side {
	const char *name; /* as it was asked for */
	int dir_fd;
};
int snapshot_diff(const struct diff_side *before, const struct diff_side *after,
		  const struct user_id *user, bool json, FILE *out,
		  struct err *err);

#endif
