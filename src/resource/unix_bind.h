/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_BIND_H
#define JOBCR_RESOURCE_UNIX_BIND_H

#include <sys/socket.h>

#include "images/unix.pb-c.h"
#include "kernel/unix_diag.h"
#include "resource/resource.h"

/*
 * Names for Unix sockets at a restore.  A helper of the resource, none
 * itself.  *ret_path is what the socket is reached by (O_PATH), owned by
 * caller; -1 of an abstract name.  Paths that have moved (restore --map) are
 * where they are now.
 */

/*
 * By a name of which nobody else is to know: a path is one in a file system
 * that is gone when this returns.
 */
int unix_bind_apart(const struct restore_ctx *ctx, int fd,
		    const ProtobufCBinaryData *name, int *ret_path,
		    struct err *err);

/*
 * With the rights of the job's user, where the path leads.  A file there that
 * is the user's, and that no socket of this node has, makes room for it.
 */
int unix_bind_path(const struct restore_ctx *ctx, int fd,
		   const ProtobufCBinaryData *name, const UnixFile *file,
		   int *ret_path, struct err *err);

/* An address for bind(2) or connect(2); -EBADMSG: it cannot be one. */
struct sockaddr_un;
int unix_address(const ProtobufCBinaryData *name, struct sockaddr_un *ret,
		 socklen_t *ret_len, struct err *err);

/* The same for a path that is open as fd. */
void unix_address_of_path(int fd, struct sockaddr_un *ret, socklen_t *ret_len);

#endif
