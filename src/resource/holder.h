/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_HOLDER_H
#define JOBCR_RESOURCE_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "resource/resource.h"

/*
 * Who outside the job has a pipe or a fifo open too.  A helper of the
 * resource for pipes, none itself.
 */

/* One of them, 0: nobody.  Children of a running job are not outside. */
pid_t holder_outside(const struct dump_ctx *ctx, const struct fd_view *fd);

/* The same of a file with this link, which is not a path. */
pid_t holder_outside_link(const struct dump_ctx *ctx,
			  const struct task_view *task, const char *link);

/* "process PID (comm)", for people; it may be gone by now. */
void holder_name(pid_t pid, char *ret, size_t room);

/* What it is called; "": it is gone. */
void holder_comm(pid_t pid, char *ret, size_t room);

/* "shared with", for people; unread: of shmem_outside. */
const char *holder_shares(bool unread);

#endif
