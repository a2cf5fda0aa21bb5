/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_TARGET_H
#define JOBCR_CLI_TARGET_H

#include <stdbool.h>

#include "util/err.h"

/*
 * A file that a command makes.  Written under another name in its directory:
 * what has the name keeps it until the new one is whole, whoever renames
 * directories meanwhile.  A signal that ends the command removes it; one such
 * file at a time.
 */
struct target {
	int dir_fd; /* -1: nothing was opened */
	char base[256], part[300];
	bool force; /* replaces one that is there */
};

/* The descriptor, owned by the caller; mode 0600. */
int target_open(struct target *t, const char *path, bool force,
		struct err *err);

/* It is whole: *fd is closed, and the file has its name. */
int target_commit(const struct target *t, int *fd, struct err *err);

/* In any case, at the end. */
void target_done(struct target *t);

#endif
