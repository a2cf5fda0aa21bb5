/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_MAKE_H
#define JOBCR_RESOURCE_UNIX_MAKE_H

#include <sys/socket.h>

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

/*
 * A connection to a socket that listened at name and is gone: ret[0] is the
 * client's end, ret[1] the accepted one.  Of datagrams ret[1] has that name.
 */
int unix_make_connection(struct restore_ctx *ctx, const UnixIds *listener,
			 const UnixIds *client, int type,
			 const ProtobufCBinaryData *name, int ret[2],
			 struct err *err);

int unix_listen(struct restore_ctx *ctx, const UnixIds *ids, int fd,
		uint32_t backlog, struct err *err);

/* To what is open as path_fd, or has that abstract name; never waits. */
int unix_connect(struct restore_ctx *ctx, const UnixIds *ids, int fd,
		 int path_fd, const ProtobufCBinaryData *name, struct err *err);

/*
 * Send over fd, however small the buffer of the socket is.  to: an address,
 * NULL: to whom it is connected.
 */
struct sockaddr_un;
int unix_send(struct restore_ctx *ctx, int fd, const struct sockaddr_un *to,
	      socklen_t to_len, const UnixMessageRecord *m, struct err *err);

#endif
