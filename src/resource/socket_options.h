/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_SOCKET_OPTIONS_H
#define JOBCR_RESOURCE_SOCKET_OPTIONS_H

#include "images/limits.h"
#include "images/net.pb-c.h"
#include "resource/resource.h"

/*
 * The options of sockets that are saved as getsockopt(2) tells them, when
 * they differ from those of a new socket.  A helper of the resources for
 * sockets, none itself.
 */
struct socket_options {
	SocketOption *list[SOCKET_MAX_OPTIONS]; /* of those below */
	SocketOption options[SOCKET_MAX_OPTIONS];
	uint8_t values[SOCKET_MAX_OPTIONS][OPTION_MAX_BYTES];
	size_t count;
};

/* Refuse what a user cannot set again at a Unix socket. */
void socket_options_check(const struct fd_view *fd, struct refusals *no);

int socket_options_read(int fd, struct socket_options *ret, struct err *err);

/*
 * Those that have to be set before the socket is bound, or all others.
 * -EBADMSG: not what socket_options_read gives.  Of TCP and UDP the caller
 * sees to it that it has no more rights than the job's user.
 */
enum options_when { OPTIONS_UNBOUND, OPTIONS_AFTERWARDS };
int socket_options_set(int fd, SocketOption *const *list, size_t count,
		       enum options_when when, struct err *err);

#endif
