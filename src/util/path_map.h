/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_PATH_MAP_H
#define JOBCR_UTIL_PATH_MAP_H

#include <stddef.h>

#include "util/err.h"

/*
 * Paths that have moved: words "OLD=NEW", of which each renames OLD and all
 * below it.  Of several that fit the longest OLD counts.
 */
#define PATH_MAPS_MAX 64

/* Two absolute paths; -EINVAL says what is wrong with the word. */
int path_map_check(const char *word, struct err *err);

/* -ENAMETOOLONG: it does not fit into room bytes.  Words were checked. */
int path_map_apply(char *const *words, size_t count, const char *path,
		   char *ret, size_t room, struct err *err);

#endif
