/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_SHELTER_H
#define JOBCR_WIRE_SHELTER_H

#include <stddef.h>

#include "util/cgroup.h"
#include "util/err.h"

/*
 * A tree that stands still for its last snapshot and could not be pinned is
 * sheltered: its supervisor moves it, with its pid 1, into a cgroup of ours,
 * where Slurm's SIGKILL of the step's cgroup does not reach.  It lives as long
 * as its supervisor or the worker does.  RUNDIR/jobs/JOBID/shelter says where
 * it is, so that whoever comes later finds what is left.
 */
#define SHELTER_DIRS 16

struct shelter {
	char own[CGROUP_PATH];
	/* Where it came from: cgroups of the job that it is kept out of, or
	 * that it still is in, and that Slurm could not remove. */
	char from[SHELTER_DIRS][CGROUP_PATH];
	size_t nfrom;
};

/* The last component of own; it makes one of another's impossible. */
#define SHELTER_PREFIX "jobcr-"

/* The record is there before the cgroup is, and goes after it. */
int shelter_note(const char *run_dir, const char *job_id,
		 const struct shelter *shelter, struct err *err);
void shelter_forget(const char *run_dir, const char *job_id);

/*
 * Remove a cgroup whose processes have gone.  Those that are ending keep it
 * for a moment, though they are not listed: -EBUSY after a second of that.
 */
int shelter_remove(const char *dir, struct err *err);

/*
 * For a job whose supervisor is gone: kill what is sheltered of it, wait for
 * its end, remove the cgroup and those of the job that were left.  0, too,
 * when there is none.  -ETIMEDOUT: processes are left after 10 s.
 */
int shelter_end(const char *run_dir, const char *job_id, struct err *err);

#endif
