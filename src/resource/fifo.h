/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_FIFO_H
#define JOBCR_RESOURCE_FIFO_H

#include "images/files.pb-c.h"
#include "resource/resource.h"
#include "resource/restore.h"

/*
 * What a fifo has that a pipe has not: a name, or one that it lost.  A helper
 * of the resource for pipes, none itself.
 */

/* Refuse a removed one of another user, which nobody may make again. */
void fifo_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		struct refusals *no);

/* Where it was, and how: the record borrows from fd.  Notes its directories. */
int fifo_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
	      PipeRecord *rec, struct err *err);

/*
 * Empty, and for reading and writing; one that was removed is made again and
 * has no name.  Returns the descriptor, owned by the caller.
 */
int fifo_open(const struct restore_ctx *ctx, const PipeRecord *rec,
	      struct err *err);

#endif
