/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_SLURM_WAITING_H
#define JOBCR_SLURM_PLUGIN_SLURM_WAITING_H

/*
 * The verbs of jobcr-slurm about jobs that wait in the queue for nothing but
 * the end of the credential of their last run:
 *
 *   waiting MAX           a line "job=ID uid=UID gid=GID" for each, MAX at most
 *   start-waiting JOBID   if it is one of them, let it start
 *
 * An exit status as in jobcr_slurm.c, or WAITING_NO_VERB for other words.
 */
#define WAITING_NO_VERB (-1)
#define WAITING_USAGE                                                          \
	"       jobcr-slurm waiting MAX\n"                                     \
	"       jobcr-slurm start-waiting JOBID\n"

int waiting_verb(int argc, char **argv);

#endif
