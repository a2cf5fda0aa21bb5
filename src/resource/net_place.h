/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_NET_PLACE_H
#define JOBCR_RESOURCE_NET_PLACE_H

#include "images/net.pb-c.h"
#include "kernel/net_address.h"
#include "resource/resource.h"

/*
 * Addresses of sockets in images, and what becomes of them on another node.
 * A helper of the resources of sockets, none itself.
 */

/* Can a socket of this machine have that address? */
bool net_is_here(const union net_address *a);

/* host has room for 16 bytes. */
void net_put_address(const union net_address *a, SocketAddress *ret,
		     uint8_t host[16]);

/*
 * The address as it is here: by --map-address; or, if it was the old node's
 * and this one does not have it, the one that this one has in the same
 * network.  Loopback, wildcards and others' addresses are what they were, and
 * so is what has no such place: then a bind fails, by name.
 */
int net_place_address(const struct restore_ctx *ctx, const SocketAddress *a,
		      uint32_t domain, union net_address *ret, struct err *err);

#endif
