/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_CLIENT_H
#define JOBCR_WIRE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "src/wire/request.pb-c.h"
#include "util/err.h"

/* A connection to a jobcrd; one request each. */
struct client;

/* To this node's; -ECONNREFUSED: none runs. */
int client_local(const char *run_dir, struct client **ret, struct err *err);

/*
 * To another node's over TCP.  node is who must answer; host is where it is
 * (NULL: the same name).  munge_socket may be NULL.
 */
int client_remote(const char *node, const char *host, uint16_t port,
		  const char *munge_socket, struct client **ret,
		  struct err *err);

/* Send the request; its nonce and, over TCP, its node are filled in. */
int client_send(struct client *c, Request *req, const int *fds, size_t nfds,
		struct err *err);

/* The next reply, owned by the caller; -ENODATA: the connection ended. */
int client_receive(struct client *c, Reply **ret, struct err *err);

/* Readable when a reply is there. */
int client_fd(const struct client *c);

void client_free(struct client *c);

#endif
