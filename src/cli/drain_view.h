/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_DRAIN_VIEW_H
#define JOBCR_CLI_DRAIN_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

/*
 * How a drain is shown: what changes as it changes, on a terminal with a bar
 * for each job that is being saved; at the end a table of all jobs, or JSON.
 */
struct drain_view {
	const char *node;
	bool json, terminal, dry_run;
	DrainEntry **jobs; /* its own copies */
	size_t count;
	size_t lines; /* of the terminal that are drawn over */
};

/* One reply's rows. */
void drain_view_take(struct drain_view *v, const Reply *reply);

/* The last reply has come. */
void drain_view_end(struct drain_view *v);

/* The exit status: are all jobs of the node safe? */
int drain_view_status(const struct drain_view *v);

void drain_view_free(struct drain_view *v);

#endif
