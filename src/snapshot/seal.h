/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_SEAL_H
#define JOBCR_SNAPSHOT_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * The seal of a snapshot: a record behind the manifest's, which root of a node
 * of the cluster has made by munge, and which only root can look at.  The
 * manifest has the digests of the meta streams: so no record says anything but
 * what its maker has said.  Pages have hashes that find damage, no more: what a
 * user writes into a program of theirs is theirs anyway.
 *
 * No restore relies on it: whatever an image says is done with the rights of
 * the job's user.  It is there for what was overlooked.
 *
 * socket NULL: munge's default.
 */

/* Could one be made now?  -EACCES: munge does not. */
int seal_try(const char *socket, struct err *err);

/* Add one to a manifest, owned by the caller.  -EACCES: munge does not. */
int seal_add(const char *socket, uint8_t **data, size_t *len, struct err *err);

/* The same, in the place of the one that it may have. */
int seal_renew(const char *socket, uint8_t **data, size_t *len,
	       struct err *err);

/*
 * Has a manifest its own?  -EKEYREJECTED: it has none, or not its own, or not
 * one of root's, or munge has another key by now; -ENOKEY: nobody can tell, as
 * munge does not answer or we are not root.
 */
int seal_check(const char *socket, const uint8_t *data, size_t len,
	       struct err *err);

#endif
