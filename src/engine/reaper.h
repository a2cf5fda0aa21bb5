/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_REAPER_H
#define JOBCR_ENGINE_REAPER_H

#include <signal.h>

#include "engine/freeze.h"

/*
 * An exec waits until the other threads of its process have ended, which
 * those that are traced have when their tracer has collected them; and
 * PTRACE_SEIZE waits for the exec.  So ends are also collected while a thread
 * is being seized, by a handler; waitpid(2) then says ECHILD.
 */

struct reaper {
	struct sigaction old;
	sigset_t mask;
};

/* tree is borrowed until the end; one at a time. */
void reaper_begin(struct reaper *r, struct frozen_tree *tree);
void reaper_end(struct reaper *r);

/* In between the handler runs, and the tree must not change. */
void reaper_open(void);
void reaper_close(void);

/* Collect now who of the tree has ended. */
void reaper_collect(void);

#endif
