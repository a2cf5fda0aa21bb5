/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_FEATURES_H
#define JOBCR_KERNEL_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/*
 * Can this kernel do it?  Each feature is tried out on a child process that
 * is thrown away; version numbers say nothing, since distributions backport.
 */
struct feature {
	const char *name;
	const char *purpose; /* what jobcr does with it */
	const char *remedy;  /* when it is missing */
	bool needed;         /* else jobcr does without, as purpose says */
};

struct feature_result {
	struct feature feature; /* strings are constants */
	int error;              /* 0: it works; else a positive errno */
};

/* Owned by the caller: free.  Needs the rights of jobcr-worker (root). */
int features_probe(struct feature_result **ret, size_t *ret_count,
		   struct err *err);

#endif
