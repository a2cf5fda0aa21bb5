/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_HISTORY_H
#define JOBCR_STORAGE_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * The events of a job's life, in the file "history" of its directory in the
 * store: one line each, appended with one write, so that nodes need not agree
 * on anything.  It belongs to the job's user, who may write what he likes
 * into it: nothing is decided by it.  From 512 KiB on, events are left out that
 * are neither among the first nor among the newest.
 */
#define HISTORY_TEXT 400

struct history_event {
	uint64_t at_ns; /* CLOCK_REALTIME of the node it happened on */
	char node[64];
	char kind[24]; /* "checkpoint", "restore", "preempted", "held" ... */
	uint32_t generation;     /* 0: it is about none */
	char text[HISTORY_TEXT]; /* for people */
};

int history_append(int job_fd, const struct user_id *user,
		   const struct history_event *event, struct err *err);

/*
 * All of them, in the order of the file; lines that are not ours are passed
 * over; of a file that is too long the end.  Owned by the caller: free.
 */
int history_read(int job_fd, const struct user_id *user,
		 struct history_event **ret, size_t *ret_count,
		 struct err *err);

#endif
