/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_GHOST_MAKE_H
#define JOBCR_RESOURCE_GHOST_MAKE_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * A file that was made for contents, fd (borrowed), becomes what the record
 * says, and its contents will be written to it.  A helper of the resources for
 * files, none itself.
 */
int ghost_make(const struct restore_ctx *ctx, const GhostRecord *rec, int fd,
	       struct err *err);

/* The same, but it belongs to whoever has made it. */
int ghost_make_anybodys(const struct restore_ctx *ctx, const GhostRecord *rec,
			int fd, struct err *err);

/*
 * Remember it without the right to write: a program that is open for writing
 * cannot be executed.  See file_local_used about O_PATH.
 */
int ghost_keep(const struct restore_ctx *ctx, const GhostRecord *rec, int fd,
	       struct err *err);

#endif
