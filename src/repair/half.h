/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_HALF_H
#define JOBCR_REPAIR_HALF_H

#include "repair/stream.h"

/*
 * A connection whose two ends were read by two nodes, at its restore by two
 * others.  What a receiver had not read yet only its own node has, and can
 * come to it only from the other end: so over the new connection each tells
 * the other what it has, and gets it back, with what was still on its way.
 * Nothing else is sent, so the next byte is the program's own.
 *
 * Both call this, each with its end of a connection between them
 * (pair_meet), which waits for nothing.  ms: for how long nothing may move.
 * -EBADMSG: the other end is not what it should be.
 */
int half_restore(int fd, const struct tcp_half *half, size_t limit,
		 unsigned int ms, struct err *err);

/* Room for what will arrive before anybody reads; before it is connected. */
int half_make_room(int fd, const struct tcp_half *half, struct err *err);

#endif
