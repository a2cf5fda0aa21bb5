/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_SLURM_LIMITS_H
#define JOBCR_SLURM_PLUGIN_SLURM_LIMITS_H

/*
 * The verb of jobcr-slurm that says how much time jobs have:
 *
 *   limits JOBID[,JOBID...]   a line "job=ID left= limit= window=" for each
 *                             that runs, in seconds; -1: none
 *
 * left: until its time limit, by slurmctld's clock.  limit: that is how long
 * it may run in all.  window: from the beginning of a preemption to SIGKILL.
 *
 * An exit status as in jobcr_slurm.c, or LIMITS_NO_VERB for other words.
 */
#define LIMITS_NO_VERB (-1)
#define LIMITS_USAGE   "       jobcr-slurm limits JOBID[,JOBID...]\n"

int limits_verb(int argc, char **argv);

#endif
