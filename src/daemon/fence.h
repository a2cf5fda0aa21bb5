/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_FENCE_H
#define JOBCR_DAEMON_FENCE_H

#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "util/err.h"

/*
 * Never two runs of a job at once, although a node that is cut off keeps its
 * processes: storage/lease.h has the rules.  Here are both sides of them.
 *
 * Each job of Slurm's on this node has a keeper, a process of its own that
 * outlives jobcrd.  It renews the lease every third of LeaseTime; when that
 * fails until two thirds are over it has the tree frozen, which goes on when
 * a renewal succeeds and is killed when the job was started elsewhere.  When
 * no process of the job is left, and no checkpoint of it under way, it
 * releases the lease.
 *
 * All of it waits: in children of jobcrd only.
 */

struct fence_owner {
	const char *job_id;
	uid_t uid;
	gid_t gid;
	/* Called every few seconds while an older run is waited for; or NULL.
	 */
	void (*waits)(void *arg);
	void *arg;
};

/*
 * A run begins at its beginning.  The first one of a job takes its lease
 * without waiting for anything; a store that cannot be written does not keep
 * it from starting.  Otherwise as fence_restore.
 */
int fence_launch(const struct conf *conf, const struct fence_owner *owner,
		 struct err *err);

/*
 * A run begins from a snapshot, in the tree of init_pid.  Takes the next
 * epoch, so that a run before it ends, and waits until it has ended or cannot
 * run.  *generation becomes the newest one if it was that before, too.
 * -EKEYREVOKED: the job was started yet again.
 */
int fence_restore(const struct conf *conf, const struct fence_owner *owner,
		  pid_t init_pid, uint32_t *generation, struct err *err);

#endif
