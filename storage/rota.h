/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_ROTA_H
#define JOBCR_STORAGE_ROTA_H

#include <stdint.h>

#include "util/err.h"

/*
 * What one of the nodes that share a store does for all of them, each so
 * often: STORE/CLUSTER/NAME/TURN, a file per turn, which one node alone can
 * make.  Whoever has seen the newest one for as long as a turn lasts, by its
 * own clock, makes the next.  Clocks are never compared, and nothing is lost
 * with a node that dies.
 */
struct rota_seen {
	uint64_t turn, since_ns; /* zeroes: nothing yet */
};

/*
 * 1: the turn is the caller's; 0: it is not, or not yet.  now_ns, not 0, goes
 * on while the node is up.  -EPERM: somebody else's directory.
 */
int rota_take(const char *store, const char *cluster, const char *name,
	      uint64_t every_ns, uint64_t now_ns, struct rota_seen *seen,
	      struct err *err);

#endif
