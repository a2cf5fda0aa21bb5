/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_OPTIONS_H
#define JOBCR_SLURM_PLUGIN_OPTIONS_H

#include <stdbool.h>

#include <slurm/spank.h>

#include "wire/job_options.h"

/* The line in plugstack.conf; all strings are borrowed from it. */
struct options {
	const char *run_dir; /* run_dir=DIR */
	const char *libexec; /* libexec=DIR */
	bool by_default;     /* default=on: jobs that say nothing, too */
	bool host_ipc;       /* ipc=host: for jobs that say nothing */
	unsigned int epilog_wait_s; /* epilog_wait=SECONDS */
};

/* What the user of this job asked for. */
struct wish {
	bool on;    /* checkpoint it */
	bool asked; /* ... since its user said so, not by default */
	struct job_options options;
};

/* Unknown words are named in Slurm's log and otherwise ignored. */
void options_parse(int argc, char **argv, struct options *ret);

/*
 * Make --jobcr and its like known, whose values sbatch then checks; from
 * slurm_spank_init only.
 */
void options_register(spank_t spank);

/*
 * In any hook of srun or of a task.  A value that cannot be read is named in
 * the job's error output and not taken: sbatch had accepted it.
 */
void options_wish(spank_t spank, const struct options *conf, struct wish *ret);

#endif
