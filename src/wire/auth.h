/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_AUTH_H
#define JOBCR_WIRE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Munge credentials between nodes.  The request itself is the payload, with
 * the node it is for and a nonce in it: one credential is good for one thing
 * on one node, once (munged remembers those it has seen), for AUTH_TTL
 * seconds.  socket NULL: munge's default.
 */
#define AUTH_TTL 30

/* *ret is owned by the caller: free. */
int auth_encode(const char *socket, const void *data, size_t len, char **ret,
		struct err *err);

/* -EACCES: expired, replayed, of another realm, broken. */
int auth_decode(const char *socket, const char *credential, void **ret_data,
		size_t *ret_len, uid_t *ret_uid, gid_t *ret_gid,
		struct err *err);

/* Is there a munged on this node, as far as its socket tells? */
bool auth_socket_there(const char *socket);

/*
 * What lasts, and only root can look at: at any time, again and again, as long
 * as munge has the key.
 */
int auth_seal(const char *socket, const void *data, size_t len, char **ret,
	      struct err *err);

/* -EKEYREJECTED: it is none; -ENOKEY: that cannot be told. */
int auth_unseal(const char *socket, const char *credential, void **ret_data,
		size_t *ret_len, uid_t *ret_uid, struct err *err);

#endif
