/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_DRAIN_STATE_H
#define JOBCR_WIRE_DRAIN_STATE_H

/* How a job of a node that is drained stands.  Never renumbered. */
enum drain_state {
	DRAIN_WAITING = 1, /* its turn will come */
	DRAIN_SAVING,
	DRAIN_QUEUED,    /* saved, in Slurm's queue */
	DRAIN_HELD,      /* ... where somebody has to release it */
	DRAIN_ELSEWHERE, /* saved, goes on at node */
	DRAIN_GONE,      /* left the node by itself */
	DRAIN_REFUSED,   /* cannot be saved: goes on here */
	DRAIN_FAILED,    /* was not saved: goes on here */
	DRAIN_FOREIGN,   /* not a job of jobcr: goes on here */
	DRAIN_POSSIBLE,  /* dry run: nothing stands in its way */
	DRAIN_STARTING,  /* saved, started at node: not seen to run there yet */
};

#endif
