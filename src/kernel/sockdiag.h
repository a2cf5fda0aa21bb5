/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_SOCKDIAG_H
#define JOBCR_KERNEL_SOCKDIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/net_address.h"
#include "util/err.h"

/*
 * TCP sockets of our network namespace as sock_diag(7) shows them: also those
 * that no process has open.
 */
struct tcp_seen {
	uint8_t state;           /* TCP_ESTABLISHED, ... */
	uint32_t inode;          /* 0: nobody has it open (yet, or any more) */
	uint32_t unread, unsent; /* bytes; a FIN is one of unsent */
	bool keys;               /* it signs (TCP_MD5SIG), as only root sees */
};

/*
 * The socket with these addresses, of one family.  -ENOENT: there is none.
 * Where there is only one that listens, it is that one.
 */
int sockdiag_tcp(const union net_address *local, const union net_address *peer,
		 struct tcp_seen *ret, struct err *err);

/*
 * The UDP socket at this address to which the peer's datagrams would go.
 * -ENOENT: there is none.
 */
int sockdiag_udp(const union net_address *local, const union net_address *peer,
		 uint32_t *ret_inode, struct err *err);

#endif
