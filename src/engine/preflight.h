/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PREFLIGHT_H
#define JOBCR_ENGINE_PREFLIGHT_H

#include "engine/collect.h"
#include "engine/dispatches.h"
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

/* And about what the job has mounted since it began. */
int preflight_mounts(const struct collection *c, pid_t init_pid,
		     struct refusals *no, struct err *err);

/*
 * What is in the way may pass by itself, and is looked at again and again.  It
 * will not when the same thing was there at every look for a while, unless it
 * is a moment of something that goes on.
 */
struct patience {
	struct patience_seen {
		uint64_t thing, since_ns;
		unsigned int looks; /* that met it, in a row */
	} *list; /* owned: patience_done */
	size_t count;
	bool over; /* something stays */
};

/*
 * After each look, while its collection is there.  Without memory nothing is
 * known of it.
 */
void patience_look(struct patience *p, const struct collection *c,
		   const struct refusals *no);
void patience_done(struct patience *p);

#endif
