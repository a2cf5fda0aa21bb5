/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_NET_ADDRESS_H
#define JOBCR_KERNEL_NET_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

/* An address of IPv4 or IPv6, as the calls take it; zeroed: of no family. */
union net_address {
	struct sockaddr any;
	struct sockaddr_in in; /* its port is where that of in6 is */
	struct sockaddr_in6 in6;
};

#endif
