/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_PRIVATE_MAKE_H
#define JOBCR_RESOURCE_PRIVATE_MAKE_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * What was in a directory of the job's own is made again: by its user, below
 * that directory only, and where no name is taken.  A helper of
 * res_private_dir and res_private_entry, none itself.
 */

/* Where it is now has to be the job's own, too, or be chosen by --map. */
int private_make_dir(struct restore_ctx *ctx, const PrivateDirRecord *rec,
		     struct err *err);

int private_make_entry(struct restore_ctx *ctx, const PrivateEntryRecord *rec,
		       struct err *err);

/* When all that writes there is done: times, sockets, what directories have. */
int private_make_last(struct restore_ctx *ctx, const PrivateEntryRecord *rec,
		      struct err *err);

/* Of a restore that has failed. */
void private_make_undo(struct restore_ctx *ctx, const PrivateEntryRecord *rec);

#endif
