/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_OPTIONS_H
#define JOBCR_SLURM_PLUGIN_OPTIONS_H

#include <stdbool.h>

#include <slurm/spank.h>

/* The line in plugstack.conf; all strings are borrowed from it. */
struct options {
	const char *run_dir; /* run_dir=DIR */
	const char *libexec; /* libexec=DIR */
};

/* Unknown words are named in Slurm's log and otherwise ignored. */
void options_parse(int argc, char **argv, struct options *ret);

/* Make --jobcr known; from slurm_spank_init only. */
void options_register(spank_t spank);

/* Was --jobcr given?  In any hook of a task, of srun, or in the epilog. */
bool options_wanted(spank_t spank);

#endif
