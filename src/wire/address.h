/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_ADDRESS_H
#define JOBCR_WIRE_ADDRESS_H

#include <sys/un.h>

#include "util/err.h"

/* The socket RUNDIR/name; -ENAMETOOLONG when it does not fit. */
int address_make(const char *run_dir, const char *name, struct sockaddr_un *ret,
		 struct err *err);

/*
 * Bind to it, in the place of one that somebody who died has left.  Those in
 * mask may not connect, as in umask(2).
 */
int address_bind(int fd, const struct sockaddr_un *at, unsigned int mask,
		 struct err *err);

/*
 * A new socket there that takes connections, of messages (SOCK_SEQPACKET);
 * accept4 on it does not wait.  *ret_fd: owned by the caller.
 */
int address_listen(const char *run_dir, const char *name, unsigned int mask,
		   int backlog, int *ret_fd, struct err *err);

#endif
