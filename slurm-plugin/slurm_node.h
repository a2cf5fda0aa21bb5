/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_SLURM_NODE_H
#define JOBCR_SLURM_PLUGIN_SLURM_NODE_H

/*
 * The verbs of jobcr-slurm that are about a node:
 *
 *   node NODE               drain=0|1, reason=
 *   drain NODE REASON UID   no new jobs on it; UID asked for it
 *   undrain NODE            jobs again; one that is not drained stays as it is
 *   jobs NODE               a line "job=ID uid= state= nodes= requeue= start="
 *                           for each that runs there or is about to leave
 *
 * An exit status as in jobcr_slurm.c, or NODE_NO_VERB for other words.
 */
#define NODE_NO_VERB (-1)
#define NODE_USAGE                                                             \
	"       jobcr-slurm node NODE\n"                                       \
	"       jobcr-slurm drain NODE REASON UID\n"                           \
	"       jobcr-slurm undrain NODE\n"                                    \
	"       jobcr-slurm jobs NODE\n"

int node_verb(int argc, char **argv);

#endif
