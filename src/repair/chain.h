/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_CHAIN_H
#define JOBCR_REPAIR_CHAIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * What only repair mode tells of a TCP socket that somebody else uses.
 *
 * In that mode the socket is of no use for its owner, so it must not last,
 * whatever becomes of us.  Going there, looking and coming back are one
 * submission to an io_uring, whose steps follow each other whether or not
 * one fails: the kernel goes from one to the next without us, also if we are
 * killed meanwhile.  The mode ends without a packet, and SO_REUSEADDR, which
 * it resets, is what it was.
 *
 * Needs CAP_NET_ADMIN and Linux 6.7.
 */

enum chain_queue { CHAIN_RECEIVE = 1, CHAIN_SEND = 2 }; /* TCP_*_QUEUE */

/* -ENOTSUP: this kernel cannot do it, or may not. */
int chain_supported(struct err *err);

/*
 * Copy what the socket has not had acknowledged, sent or not.  room is more
 * than there can be.  Afterwards chain_sequence tells of the send queue.
 */
int chain_read_sent(int fd, void *data, size_t room, size_t *ret_len,
		    struct err *err);

/* Let chain_sequence tell of a queue. */
int chain_choose(int fd, enum chain_queue queue, struct err *err);

/*
 * The sequence number behind the last byte of the queue that was chosen, a
 * FIN being one: as it is now, and without repair mode.
 */
int chain_sequence(int fd, uint32_t *ret, struct err *err);

#endif
