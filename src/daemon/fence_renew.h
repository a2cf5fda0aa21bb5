/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_FENCE_RENEW_H
#define JOBCR_DAEMON_FENCE_RENEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "storage/lease.h"
#include "wire/control.h"

/*
 * One beat of a lease, in a process of its own: a store that hangs keeps that
 * process, and nobody else.
 */
struct renewal {
	const struct conf *conf;
	const struct control_info *info;
	struct lease lease;     /* epoch 0: not known yet */
	uint32_t epoch;         /* known to be this run's; 0: find it */
	uint64_t store[2];      /* where the lease was last seen; 0: nowhere */
	uint64_t sure_until_ns; /* CLOCK_BOOTTIME: until then nobody else can
				   have taken the job over; 0: not known */
	pid_t pid;              /* 0: none under way */
	int fd;                 /* its answer */
	uint64_t started_ns;
	char text[256]; /* why the last one failed */
};

/* Begin; release: the last one, nothing of the run is left. */
int renewal_start(struct renewal *r, bool release);

/*
 * Its answer, when fd is readable: 0, or -EKEYREVOKED: the epoch is another's;
 * any other error: it could not be renewed.
 */
int renewal_finish(struct renewal *r);

/* It takes too long; false: not even a signal gets through. */
bool renewal_kill(struct renewal *r);

#endif
