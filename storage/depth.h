/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_DEPTH_H
#define JOBCR_STORAGE_DEPTH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many requests to have in flight, found by climbing: once in a while a
 * quarter more or less is tried for a round of requests, and kept while storage
 * is clearly quicker with it.  Where it makes no difference all stays as it was
 * at the start.  For one or several rings that share their storage, by any
 * thread.
 */
struct depth {
	pthread_mutex_t lock;
	unsigned int start, now, max;

	/* The round: requests of a depth. */
	uint64_t began; /* ns; 0: with the next request that ends */
	uint64_t bytes;
	unsigned int requests, shallow;

	/* The climb. */
	struct depth_rate {
		double bytes, requests; /* for each ns */
	} best;                         /* without the trial */
	unsigned int before;            /* that depth; 0: nothing is tried */
	bool down;                      /* where the next trial goes */
	unsigned int pause, rest;       /* rounds from trial to trial; to go */
};

#define DEPTH_ROUND 32u /* requests */

/* 1 <= start <= max. */
void depth_init(struct depth *d, unsigned int start, unsigned int max);
void depth_done(struct depth *d);

unsigned int depth_now(struct depth *d);

/*
 * A request has ended, of so many bytes.  full: as many as depth_now says were
 * in flight before; where the caller has seldom that many a round says nothing
 * of storage.  now: CLOCK_MONOTONIC, ns.
 */
void depth_ended(struct depth *d, size_t bytes, bool full, uint64_t now);

/* The caller has paused: the time since then does not count. */
void depth_paused(struct depth *d);

#endif
