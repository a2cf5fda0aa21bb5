/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_OUTSIDE_H
#define JOBCR_ENGINE_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Who outside the tree holds pipes, sockets and shared memory: the kernel
 * does not tell, so all other processes are looked at.
 */
struct outside;

/* Files on these devices are shared memory. */
int outside_new(const dev_t *devices, size_t count, struct outside **ret,
		struct err *err);

/*
 * Look at every process that is no member (outer pids, ascending), is not
 * this one, and was not looked at before.  Called while the tree runs and
 * again when it stands still: what came up in between can be held by nobody
 * who was there before, but for members that have left the tree.
 */
int outside_look(struct outside *o, const pid_t *members, size_t count,
		 struct err *err);
void outside_free(struct outside *o);

/* A holder's pid, or 0.  link is "pipe:[INODE]" or "socket:[INODE]". */
pid_t outside_link(const struct outside *o, const char *link);

/*
 * *ret_unread: it is not known to hold it, but has the rights to, and does not
 * let its maps be read.
 */
pid_t outside_shmem(const struct outside *o, dev_t dev, uint64_t inode,
		    bool *ret_unread);

#endif
