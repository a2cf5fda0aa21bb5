/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_KINDS_H
#define JOBCR_SNAPSHOT_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

/*
 * Kinds of records: their names as they are shown, with or without the
 * "Record" at the end, in any case, "_" or "-" between words or not.
 */
#define SHOW_KINDS_MAX 128
struct show_kinds {
	uint32_t tags[SHOW_KINDS_MAX];
	size_t count; /* 0: all */
};
/* Names with commas between them, or "all".  -EINVAL: there is no such. */
int show_kinds_parse(const char *list, struct show_kinds *ret, struct err *err);
/* All names, for who gave a wrong one. */
void show_kinds_print(FILE *out);
bool show_kinds_has(const struct show_kinds *kinds, uint32_t tag);

#endif
