/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PACE_H
#define JOBCR_ENGINE_PACE_H

#include <stddef.h>
#include <stdint.h>

#include "snapshot/pack.h"

/*
 * How much effort the pages of a checkpoint are worth: with PACK_AUTO what
 * gets them to storage fastest, as measured in this very checkpoint.  Storage
 * that keeps the readers waiting gets packed pages; if these then come slower
 * than unpacked ones did, it does not.  Times are CLOCK_MONOTONIC, in ns.
 */
enum pack_policy { PACK_AUTO, PACK_NEVER, PACK_LZ4, PACK_ZSTD };

struct pace {
	enum pack_policy policy;
	enum pack_effort now;
	unsigned int slices;       /* that came back with it */
	uint64_t since, bytes;     /* of those that count */
	uint64_t waited;           /* for storage, since then */
	double rate[PACK_EFFORTS]; /* bytes per ns; 0: not known */
	unsigned int age[PACK_EFFORTS]; /* in rounds */
};

void pace_begin(struct pace *p, enum pack_policy policy);

/* For the next slice. */
enum pack_effort pace_effort(const struct pace *p);

/* There was no room in front of storage for so long. */
void pace_waited(struct pace *p, uint64_t ns);

/* A slice of so many unpacked bytes has come back. */
void pace_done(struct pace *p, enum pack_effort effort, size_t bytes,
	       uint64_t now);

#endif
