/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_STREAM_H
#define JOBCR_REPAIR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What is on its way from one end of a TCP connection to the other, when
 * nobody writes to the one or reads from the other.  The network need not
 * stand still: bytes may go from the first queue to the second meanwhile, and
 * are told apart by their sequence numbers.
 */
struct tcp_stream {
	uint8_t *data; /* owned by the caller: free */
	size_t len;
	size_t unread; /* of them, which had arrived */
};

/*
 * Copy it; nothing of it is taken.  from -1: that end is closed and has
 * nothing on its way; to -1: nothing can arrive any more.  More than limit
 * bytes: -EFBIG.  -ENOTSUP: only chain.h tells, and cannot.
 */
int stream_read(int from, int to, size_t limit, struct tcp_stream *ret,
		struct err *err);

/*
 * The same in two steps, for ends that two nodes read.  On both the first one
 * is done before the second begins on either: so what moves meanwhile is in
 * both copies, and numbers of its bytes tell it.
 */
struct tcp_half {
	uint8_t *sent; /* what the other end may not have: free */
	size_t nsent;
	uint32_t sent_first; /* number of its first byte */
	bool finished;       /* and then it has ended what it sends */
	bool over; /* both have, and have all: there are no numbers any more */
	uint8_t *unread; /* what has arrived: free */
	size_t nunread;
	uint32_t unread_end; /* number behind its last byte; a FIN is one */
};
int stream_read_sent(int fd, size_t limit, struct tcp_half *half,
		     struct err *err);
int stream_read_arrived(int fd, size_t limit, struct tcp_half *half,
			struct err *err);
void tcp_half_done(struct tcp_half *half);

/*
 * How many bytes of from's sent ones to has already.  -EBADMSG: they are not
 * of one connection.
 */
int tcp_half_known(const struct tcp_half *from, const struct tcp_half *to,
		   size_t *ret, struct err *err);

/* tcp_info's: whether this end has ended what it sends, and seen the other's
 * end. */
bool stream_has_ended(uint8_t state);
bool stream_sees_end(uint8_t state);

/* The state of a socket as tcp_info has it. */
int stream_state(int fd, uint8_t *ret, struct err *err);

/* Bytes that the other end has not acknowledged; a FIN is none. */
int stream_unsent(int fd, size_t *ret, struct err *err);

#endif
