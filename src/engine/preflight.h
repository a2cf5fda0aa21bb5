/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PREFLIGHT_H
#define JOBCR_ENGINE_PREFLIGHT_H

#include "engine/collect.h"
#include "resource/resource.h"
#include "resource/terminal.h"

/*
 * Everything that could refuse, looked at without changing anything: first
 * on the running tree, then again on the frozen one.  Findings are added to
 * no; an error is returned only when looking failed.  Also finds out which
 * resource each open file belongs to.
 */
int preflight(struct collection *c, const struct dump_ctx *ctx, pid_t init_pid,
	      pid_t root_pid, struct refusals *no, struct err *err);

/* The part of it that is about processes and how they hang together. */
int preflight_tree(const struct collection *c, pid_t init_pid,
		   const struct job_terminal *terminal, struct refusals *no,
		   struct err *err);

#endif
