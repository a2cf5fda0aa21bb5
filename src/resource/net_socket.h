/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_NET_SOCKET_H
#define JOBCR_RESOURCE_NET_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "images/net.pb-c.h"
#include "kernel/net_address.h"
#include "resource/resource.h"
#include "resource/socket_options.h"

/*
 * What TCP and UDP sockets have in common: addresses, options, buffers.  A
 * helper of their resources, none itself.
 */

/* Is it an open socket of this type and protocol, of IPv4 or IPv6? */
bool net_match(const struct fd_view *fd, int type, int protocol);

/* An int option; -1: this socket has none. */
int net_option(int fd, int level, int name);

/* Where it is bound, and connected; family 0: nowhere. */
int net_local(int fd, union net_address *ret, struct err *err);
int net_peer(int fd, union net_address *ret, struct err *err);
/* A connection that has ended for both sides; a new socket has not. */
bool net_has_ended(int fd);
bool net_is_bound(const union net_address *local);

/* Refuse, about this descriptor. */
void net_refuse(const struct fd_view *fd, struct refusals *no,
		const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Refuse what no socket may have. */
int net_check(const struct dump_ctx *ctx, const struct fd_view *fd,
	      struct refusals *no, struct err *err);

/* An initialised message, of which the rest is in parts. */
struct net_parts {
	SocketAddress local;
	uint8_t host[16];
	struct socket_options options;
};
int net_fill(const struct fd_view *fd, SocketCommon *ret,
	     struct net_parts *parts, struct err *err);

/*
 * A new socket of the job's user, with nothing but its buffers set.  Returns
 * it or an error.
 */
int net_make(const struct restore_ctx *ctx, uint32_t domain, int type,
	     uint32_t receive_buffer, uint32_t send_buffer, struct err *err);

/*
 * From begin to end this thread may do with sockets what the job's user may,
 * and no more; end cannot fail.
 */
int net_begin(const struct restore_ctx *ctx, struct err *err);
void net_end(const struct restore_ctx *ctx);

/* Options that count when it is bound; then that; between begin and end. */
int net_bind(const struct restore_ctx *ctx, int fd, const SocketCommon *rec,
	     bool reuse_address, struct err *err);

/* All other options (of one that was not bound so: all); its buffers. */
int net_settle(const struct restore_ctx *ctx, int fd, const SocketCommon *rec,
	       bool was_bound, struct err *err);

#endif
