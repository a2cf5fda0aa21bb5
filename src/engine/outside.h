/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_OUTSIDE_H
#define JOBCR_ENGINE_OUTSIDE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Who outside the tree holds pipes, sockets and shared memory: the kernel
 * does not tell, so all other processes are looked at, once.
 */
struct outside;

/* members: outer pids of the tree, ascending; this process is left out. */
int outside_new(const pid_t *members, size_t count, dev_t shmem_device,
		struct outside **ret, struct err *err);
void outside_free(struct outside *o);

/* A holder's pid, or 0.  link is "pipe:[INODE]" or "socket:[INODE]". */
pid_t outside_link(const struct outside *o, const char *link);
pid_t outside_shmem(const struct outside *o, uint64_t inode);

#endif
