/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_PAIR_H
#define JOBCR_REPAIR_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/net_address.h"
#include "util/err.h"

/*
 * A TCP connection between two sockets of ours, made as any program would:
 * by listen, connect and accept, with the rights of the caller.  Nothing is
 * forged, so there is none to anybody else.  What its program did with it
 * before is then done again: bytes are sent, ends are shut.
 */

/*
 * Connect `from`, which is bound to *own, with `to`, which listens at *other
 * and is no use afterwards (port 0 of either: any).  Both are new sockets, borrowed,
 * left with SO_REUSEADDR set; each address is of the family of its own socket.
 * *ret is the other end: owned by the caller.  -EADDRINUSE, -EADDRNOTAVAIL and
 * -EACCES are about an address, which the text names.
 */
int pair_join(int from, const union net_address *own, int to,
	      const union net_address *other, int *ret, struct err *err);

/*
 * The same between two nodes, each of which has one end and calls this; which
 * of them listens follows from the addresses.  The other may begin ms
 * milliseconds later.  fd, a new socket, is no use afterwards if it listened;
 * *ret is the end: owned by the caller.
 */
int pair_meet(int fd, const union net_address *own,
	      const union net_address *peer, unsigned int ms, int *ret,
	      struct err *err);

/* The size of an address of this family; 0: another family. */
socklen_t pair_address_size(const union net_address *a);

/* "ADDRESS port PORT". */
void pair_address_text(const union net_address *a, char *ret, size_t room);

/* That could not be done at an address: name it, and what to do. */
int pair_address_failed(const char *step, const union net_address *a, int code,
			struct err *err);

/* As a socket of that family knows it: -EINVAL where it cannot. */
int pair_address_as(const union net_address *a, int family,
		    union net_address *ret);

/* Send all of it; the buffers of both ends have room. */
int pair_send(int from, const void *data, size_t len, struct err *err);

/* Let a connection be reset for its other end when this one is closed. */
int pair_end_at_once(int fd, struct err *err);
/* Wait until that was seen. */
int pair_await_end(int fd, struct err *err);

/* Wait until that many bytes can be read. */
int pair_await(int to, size_t bytes, struct err *err);

#endif
