/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_BOUNDED_H
#define JOBCR_DAEMON_BOUNDED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"

/* It takes a moment, but for who wants it to. */
#define BOUNDED_S 120

/*
 * Something is done about many jobs of the store, one after the other.  Their
 * directories are their users', who may make them endless: so it is done about
 * each in a child of its own, which has limit_s seconds.  Other jobs of a user
 * whose job took longer are passed over from then on, as are those of one who
 * has mounted something there.  As it may remove what takes time, it waits for
 * who writes snapshots on this node (writing.h).
 */
struct bounded {
	unsigned int limit_s;
	uint64_t since_ns; /* CLOCK_MONOTONIC: it was wanted; 0: at the first */
	uid_t *slow;       /* they took too long */
	size_t count;
};

/*
 * fn says what it has found in memory that it shares with the caller.  What
 * could not be done, and why, is in the log.
 */
void bounded_run(struct bounded *b, const struct conf *conf,
		 const char *cluster, const char *job, void (*fn)(void *arg),
		 void *arg);

/* The next time nobody is passed over. */
void bounded_done(struct bounded *b);

#endif
