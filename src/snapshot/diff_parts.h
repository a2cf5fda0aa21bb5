/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_DIFF_PARTS_H
#define JOBCR_SNAPSHOT_DIFF_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "images/files.pb-c.h"
#include "images/manifest.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/task.pb-c.h"
#include "snapshot/snapshot.h"

/* For diff*.c only: what was found, and how it is said. */

/* Bytes of memory, by what became of them. */
struct diff_bytes {
	uint64_t same, changed, fresh, gone;
};

/* A pair of which one may be missing: it appeared, or is gone. */
struct diff_task {
	const TaskRecord *before, *after;
};
struct diff_vma {
	const VmaRecord *before, *after;
	const char *what; /* what it maps; owned: free if own */
	char *own;
	struct diff_bytes bytes;
};
struct diff_file {
	const FileRecord *before, *after;
};

/* Only what differs; of vmas all, of which has_changed tells. */
struct diff {
	const ManifestRecord *before, *after;
	struct diff_task *tasks;
	size_t ntasks;
	size_t tasks_before, tasks_after;
	struct diff_vma *vmas;
	size_t nvmas;
	struct diff_file *files;
	size_t nfiles;
	struct diff_bytes objects; /* memory that processes share, ghosts */
	struct diff_bytes all;
};

bool diff_vma_differs(const struct diff_vma *v);

/* Fill what is empty from two parts; NULL: that side has no such part. */
int diff_find(const struct meta *before, const struct meta *after,
	      struct diff *ret, struct err *err);
void diff_done(struct diff *d);

/* As text, or as JSON. */
int diff_print(const struct diff *d, const char *before, const char *after,
	       bool json, FILE *out, struct err *err);

#endif
