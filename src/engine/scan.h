/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_SCAN_H
#define JOBCR_ENGINE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/maps.h"
#include "util/err.h"

/* Memory of a process, to be looked through for pages of its own. */
struct scan_range {
	int proc_fd;
	pid_t ns_pid; /* for errors */
	uint64_t start, end;
	bool over_file; /* see search.h */
};

/* Is this to be saved? */
bool scan_keeps(const struct scan_range *range, const struct page_run *run);

/*
 * By all CPUs.  each is called by the caller's thread, for what is to be saved
 * of list[i], in order of the list and ascending; what lies side by side may
 * come in pieces.  An error of it ends the scan.  What is kept in mind for it
 * is limited, however many pieces there are.
 */
typedef int (*scan_fn)(void *arg, size_t i, uint64_t start, uint64_t end,
		       struct err *err);
int scan_ranges(const struct scan_range *list, size_t n, scan_fn each,
		void *arg, struct err *err);

#endif
