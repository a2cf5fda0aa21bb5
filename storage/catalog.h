/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_CATALOG_H
#define JOBCR_STORAGE_CATALOG_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* Names of generations and what is in a job's directory; for storage only. */

#define GENERATION_NAME_SIZE 16 /* 10 digits, .new, NUL */

void generation_name(char name[GENERATION_NAME_SIZE], uint32_t number,
		     bool under_way);

/* One directory of a job, as its name says. */
struct catalog_entry {
	uint32_t number;
	bool under_way; /* has the suffix .new */
};

/*
 * All generation directories, ascending, .new behind its published twin;
 * owned by the caller.  Other names are passed over.
 */
int catalog_read(int job_fd, struct catalog_entry **ret, size_t *ret_count,
		 struct err *err);

/* An open directory, read from its start; owned by the caller (closedir). */
int catalog_opendir(int dir_fd, DIR **ret, struct err *err);

/*
 * Remove what is in a directory, also what a user has put in directories there,
 * within limits; the error is that of the first that stays, all others go.
 */
int catalog_empty(int dir_fd, struct err *err);

/* A generation has this name in job_fd, as the server of the files sees it. */
bool catalog_has_name(int job_fd, uint32_t number, bool under_way, int dir_fd);

/* Nothing may have the name to; as renameat(2). */
int catalog_rename(int dir_fd, const char *from, const char *to);

/*
 * A whole generation that is kept and has the suffix .new has lost its name to
 * a retirement that was too early, or did not live to see it: it gets it back.
 * dir_fd is its directory.  1: it has; 0: it is no such one.
 */
int catalog_take_back(int job_fd, uint32_t number, int dir_fd, struct err *err);

#endif
