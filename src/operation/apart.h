/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_APART_H
#define JOBCR_OPERATION_APART_H

#include <sys/types.h>

#include "conf/conf.h"
#include "util/err.h"

/* The store is there, or is not. */
#define APART_S 10

/*
 * Something that is done in the store, or a directory, which may hang, and hold
 * for ever whoever looks there.  A process apart does it, which holds nothing
 * of the caller's (no lock, no connection); the caller waits only so long.
 */
struct apart {
	const struct conf *conf;
	uid_t uid; /* whose wish it is: only so many are at it at a time */
	/* Hung up: nobody waits any more, what was begun goes on; -1: none. */
	int peer_fd;
	const char *dir;      /* what it is done in; NULL: the store */
	unsigned int limit_s; /* 0: APART_S */
};

/*
 * fn's result and error.  It must not use descriptors of the caller's, and all
 * else that it finds is lost.  -ETIMEDOUT: it takes too long, and where it is
 * done, which is named, nothing answers.  -EPIPE: hung up.
 */
int apart_run(const struct apart *a, int (*fn)(void *arg, struct err *err),
	      void *arg, struct err *err);

/*
 * What fn finds is wanted: where it comes back in time from there, it is done
 * once more, here.
 */
int apart_look(const struct apart *a, int (*fn)(void *arg, struct err *err),
	       void *arg, struct err *err);

#endif
