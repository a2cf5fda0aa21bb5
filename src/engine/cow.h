/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_COW_H
#define JOBCR_ENGINE_COW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "images/record.h"
#include "util/spans.h"

/*
 * Which pages processes share copy-on-write since a fork, or since one before
 * that: the same frame (or the same place in swap) at the same address.  The
 * first of them saves the contents, the others say whose they are.
 */
struct cow_source {
	pid_t ns_pid;
	int proc_fd; /* borrowed */
	uint64_t start, end;
	bool over_file; /* a mapping of a file: zeroes are contents there */
};

struct cow;

/*
 * Private memory of processes that stand still; that of one process together,
 * ascending.  Borrowed until cow_free.  Memory taken grows with the number of
 * pieces; when there are too many, only the first of them are found.
 */
int cow_find(const struct cow_source *sources, size_t count, struct cow **ret,
	     struct err *err);

/* What of source i an earlier one saves; tag: its ns_pid. */
const struct spans *cow_of(const struct cow *c, size_t i);

/* The records that say so. */
int cow_put(const struct cow *c, const struct img_sink *out, struct err *err);

void cow_free(struct cow *c); /* NULL too */

#endif
