/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_NAME_H
#define JOBCR_RESOURCE_UNIX_NAME_H

#include "kernel/unix_diag.h"
#include "resource/resource.h"

/* A Unix socket that was given a name, and may listen. */

int unix_name_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		    const struct unix_socket *s, struct refusals *no,
		    struct err *err);
int unix_name_put(const struct dump_ctx *ctx, const struct fd_view *fd,
		  const struct unix_socket *s, struct err *err);

/* restore2 of a UnixNameRecord. */
int unix_name_restore(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err);

#endif
