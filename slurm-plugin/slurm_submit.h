/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_SLURM_SUBMIT_H
#define JOBCR_SLURM_PLUGIN_SLURM_SUBMIT_H

#include <sys/types.h>

#include <slurm/slurm.h>

/* Names in the directory of a job in the store. */
#define SUBMIT_FILE      "submit"
#define SUBMIT_ENV_FILE  "submit.env"
#define SUBMIT_MAX       (4u << 20)
#define SUBMIT_SCRIPT_IS "script:\n"

/*
 * What it takes to submit a job again: lines of "key=value", then the batch
 * script behind a line of its own.  Both return an exit status and complain
 * to stderr.
 *
 * std_out, std_err: the files that the job writes to, for names with patterns
 * in them; "": as Slurm has it.
 */
int submit_describe(const job_info_t *job, const char *std_out,
		    const char *std_err);

/*
 * Submit, on hold, what is described in dir; prints "job=ID".  This process
 * becomes the user first: whatever he has made of the description, Slurm
 * judges it as it does his other jobs.
 */
int submit_again(uid_t uid, gid_t gid, const char *dir);

/* From here on this process is the user's; negative: complained of. */
int submit_become(uid_t uid, gid_t gid);

#endif
