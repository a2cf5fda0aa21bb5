/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_SLOTS_H
#define JOBCR_STORAGE_SLOTS_H

#include <stdint.h>

#include "util/err.h"

/*
 * How many may write at a time, over all nodes that share a store, without a
 * server: STORE/CLUSTER/.writers/SLOT.TERM.  A slot is taken by making the
 * file of its next term, which one node alone can do; its holder changes the
 * contents all the time, and says when it is done.  A file that does not
 * change for SLOTS_LEASE, by the clock of who looks at it, belongs to a dead
 * holder.  The limit is for speed, not for safety: a holder that was only
 * away for so long may meet its successor.
 */
#define SLOTS_MAX   1024
#define SLOTS_BEAT  (5 * 1000000000ull)
#define SLOTS_LEASE (60 * 1000000000ull)
#define SLOT_TEXT   128

struct slots; /* what was seen of them */

struct slot {
	int fd; /* of its file */
	unsigned int number;
	uint32_t term;
	uint64_t beats;
	char holder[64];
};

/*
 * count: 1 to SLOTS_MAX.  -EPERM: the directory belongs to somebody else, or
 * others can write there.
 */
int slots_open(const char *store, const char *cluster, unsigned int count,
	       struct slots **ret, struct err *err);
void slots_free(struct slots *s);

/*
 * Take one.  now: CLOCK_MONOTONIC.  holder: for who looks into the directory.
 * -EAGAIN: none is free now; call again, with the same struct, to find the
 * dead ones.
 */
int slots_take(struct slots *s, uint64_t now, const char *holder,
	       struct slot *ret, struct err *err);

/* At least every SLOTS_BEAT.  -ESTALE: it is another's by now. */
int slots_beat(struct slots *s, struct slot *slot, struct err *err);
void slots_release(struct slots *s, struct slot *slot);

#endif
