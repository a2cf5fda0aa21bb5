/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_DATAGRAM_H
#define JOBCR_REPAIR_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/net_address.h"
#include "util/err.h"

#define DATAGRAM_MAX_BYTES 65536u

/*
 * Look at the datagram that begins after so many bytes of a UDP socket's
 * queue; it stays there.  For that SO_PEEK_OFF, which is to be -1, is changed
 * and changed back as chain.h does.  data has room for DATAGRAM_MAX_BYTES.
 * -ENOENT: there is none.  -ENOTSUP: this kernel cannot (Linux 6.7).
 */
int datagram_peek(int fd, size_t after, void *data, size_t *ret_len,
		  union net_address *ret_source, struct err *err);

#endif
