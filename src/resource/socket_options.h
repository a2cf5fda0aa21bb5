/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_SOCKET_OPTIONS_H
#define JOBCR_RESOURCE_SOCKET_OPTIONS_H

#include "images/unix.pb-c.h"
#include "resource/resource.h"

/*
 * What setsockopt(2) has set at SOL_SOCKET.  A helper of the resources for
 * sockets, none itself.
 */
struct socket_options {
	SocketOption **list;
	size_t count;
};

/* Refuse what a user cannot set again. */
int socket_options_check(const struct fd_view *fd, struct refusals *no,
			 struct err *err);

/* Those that a new socket of this kind has not; owned by caller. */
int socket_options_read(int fd, struct socket_options *ret, struct err *err);
void socket_options_done(struct socket_options *o);

/* -EBADMSG: not what socket_options_read gives. */
int socket_options_set(int fd, SocketOption *const *list, size_t count,
		       struct err *err);

#endif
