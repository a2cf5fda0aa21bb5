/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_BOUNDED_H
#define JOBCR_DAEMON_BOUNDED_H

#include <stddef.h>
#include <sys/types.h>

#include "conf/conf.h"

/*
 * Something is done about many jobs of the store, one after the other.  Their
 * directories are their users', who may make them endless: so it is done about
 * each in a child of its own, which has two minutes.  Other jobs of a user
 * whose job took longer are passed over from then on, as are those of one who
 * has mounted something there.
 */
struct bounded {
	uid_t *slow; /* they took too long */
	size_t count;
};

/*
 * fn says what it has found in memory that it shares with the caller.  What
 * could not be done, and why, is in the log.
 */
void bounded_run(struct bounded *b, const struct conf *conf,
		 const char *cluster, const char *job, void (*fn)(void *arg),
		 void *arg);

void bounded_done(struct bounded *b);

#endif
