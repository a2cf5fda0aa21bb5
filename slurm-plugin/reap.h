/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_REAP_H
#define JOBCR_SLURM_PLUGIN_REAP_H

#include "util/err.h"

/*
 * End what is left of a job on this node, a frozen tree too, and remove its
 * run directory.  A job that is not ours: nothing to do, 0.  Waits a few
 * seconds at most.
 */
int reap_job(const char *run_dir, const char *job, struct err *err);

#endif
