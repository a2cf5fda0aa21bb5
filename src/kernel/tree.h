/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_TREE_H
#define JOBCR_KERNEL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * A tree that goes on running, from outside and cheaply: no page table is
 * walked and nothing in it is stopped.
 */
struct tree_look {
	size_t processes, threads;
	/*
	 * Anonymous, shared and swapped out memory, counted once for each
	 * process that has it: no snapshot of now has more pages.
	 */
	uint64_t bytes;
	uint64_t cpu_ns; /* used by the threads that there are */
	bool asleep;     /* each of them, waiting for something */
	/*
	 * Of which threads, how often and how long each has run, and what
	 * signals wait for it.  Twice the same and asleep both times: not one
	 * instruction of the tree was executed between.
	 */
	uint64_t mark;
	uint64_t members; /* the part of it that says which threads */
};

/*
 * init: pid 1 of the tree; -ESRCH when it has ended.  Its siblings that are
 * in its pid namespace belong to the tree: a supervisor's job is no child of
 * init.
 */
int tree_look(pid_t init, struct tree_look *ret, struct err *err);

#endif
