/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_MAKE_H
#define JOBCR_RESOURCE_UNIX_MAKE_H

#include "images/unix.pb-c.h"
#include "resource/resource.h"

/*
 * Unix sockets at a restore.  The kernel tells each end of a connection who
 * made the other, so the process that is to be told makes it, with the ids
 * that are to be told.  A helper of the resource, none itself.
 */

/* -EPERM: the job's user could not have been that. */
int unix_check_ids(const struct restore_owner *owner, const UnixIds *ids,
		   struct err *err);

/* Two ends that are connected: owned by caller. */
int unix_make_pair(struct restore_ctx *ctx, const UnixIds *ids, int type,
		   int ret[2], struct err *err);

/* Send over fd, however small the buffer of the socket is. */
int unix_send(struct restore_ctx *ctx, int fd, const UnixMessageRecord *m,
	      struct err *err);

#endif
