/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_WITNESS_H
#define JOBCR_ENGINE_WITNESS_H

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * A process of ours in a job's pid namespace, with the ids of one of its
 * threads and no privileges, that does nothing and hides nothing: whoever may
 * not look at it is under rules of its own.  It holds nothing open, none of our
 * memory, never runs, and dies with us.  Zero-initialise.
 */
struct witness {
	pid_t helper; /* its parent, outside; 0: there is none yet */
	pid_t ns_pid; /* as the job sees it */
	uint32_t uid, gid;
	int channel;
};

/* Have one with these ids; another than asked for before is ended. */
int witness_have(struct witness *w, int job_proc_fd, uint32_t uid, uint32_t gid,
		 struct err *err);

/* End it; in any state. */
void witness_done(struct witness *w);

#endif
