/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_DATAGRAMS_H
#define JOBCR_REPAIR_DATAGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/net_address.h"
#include "util/err.h"

/* What waits in a UDP socket to be read. */
struct datagram {
	union net_address source;
	uint8_t *data;
	size_t len;
};

struct datagrams {
	struct datagram *list; /* owned: datagrams_done */
	size_t count, bytes;
	bool empty; /* one of them is, or was: see kernel/queue_mark.h */
};

/*
 * Look at all of them, which stay there, with the mark of queue_mark.h at the
 * socket meanwhile.  It goes also when the caller is killed: a process of its
 * own looks.  -ENOTSUP: an empty one, more than these, or this kernel cannot.
 */
int datagrams_read(int fd, size_t max_count, size_t max_bytes,
		   struct datagrams *ret, struct err *err);
void datagrams_done(struct datagrams *d);

#endif
