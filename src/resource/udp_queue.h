/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UDP_QUEUE_H
#define JOBCR_RESOURCE_UDP_QUEUE_H

#include "images/net.pb-c.h"
#include "resource/resource.h"

/*
 * Datagrams that a UDP socket has not read.  At the restore they are sent
 * again from where they came: by the socket that is there, or by one that is
 * made for it.  The half of the resource for that; udp.c has the rest.
 */
struct udp_queue {
	UdpDatagram **list; /* owned: udp_queue_done */
	size_t count;
};

/* -ENOTSUP: what is there (the text says it) cannot be saved. */
int udp_queue_read(const struct dump_ctx *ctx, const struct fd_view *fd,
		   struct udp_queue *ret, struct err *err);
void udp_queue_done(struct udp_queue *q);

/* When all sockets have been made. */
int udp_queue_send(const struct restore_ctx *ctx, const UdpRecord *rec,
		   struct err *err);

#endif
