/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_SERVICE_H
#define JOBCR_RESOURCE_UNIX_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Services of the node that programs are connected to, and what becomes of
 * that: the one table of it.  Known by their names, which are the node's to
 * give: users write neither in /run nor in /dev.
 */
enum unix_policy {
	UNIX_REFUSE,    /* the service knows of the connection what nobody else
			   does */
	UNIX_RECONNECT, /* datagrams: connected again where it is restored */
	UNIX_CLOSE,     /* streams: closed, as when the service is restarted;
			   the library connects again and asks again */
};

struct unix_service {
	const char *name; /* a path, of all below it when it ends with '/'; @:
			     abstract */
	int type;         /* SOCK_*; 0: any */
	enum unix_policy policy;
	const char *remedy; /* UNIX_REFUSE */
};

/* name as sock_diag has it.  NULL: none of them. */
const struct unix_service *unix_service_find(const char *name, size_t len,
					     int type);

/* Of a connection without a name to a program called so; NULL: none. */
const char *unix_service_remedy(const char *comm);

#endif
