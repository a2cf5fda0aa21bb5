/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_TCP_PEER_H
#define JOBCR_RESOURCE_TCP_PEER_H

#include "resource/resource.h"

/*
 * Who is at the other end of a TCP socket, and what of it cannot be saved.
 * The half of the resource that looks; tcp.c has the rest.
 */
enum tcp_peer_kind {
	TCP_PEER_INSIDE,     /* an open file of the job */
	TCP_PEER_CLOSED,     /* no process has it, and it has nothing to say */
	TCP_PEER_CLOSING,    /* the same, with bytes that are not there yet */
	TCP_PEER_UNACCEPTED, /* waits for accept(2) */
	TCP_PEER_OUTSIDE,    /* of another process, or another machine */
	TCP_PEER_GONE,       /* of this machine, and there is none */
};

struct tcp_peer {
	enum tcp_peer_kind kind;
	uint32_t object; /* INSIDE */
	uint64_t inode;  /* 0: nobody has it open */
	bool keys;       /* it signs what it sends */
};

/* Does the restored job see a reset instead, as it was asked for? */
bool tcp_peer_is_reset(const struct dump_ctx *ctx, const struct tcp_peer *peer);

/* fd is connected. */
int tcp_peer_find(const struct dump_ctx *ctx, const struct fd_view *fd,
		  struct tcp_peer *ret, struct err *err);

/* Of resource_ops. */
int tcp_check(const struct dump_ctx *ctx, const struct fd_view *fd,
	      struct refusals *no, struct err *err);

#endif
