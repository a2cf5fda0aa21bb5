/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SLURM_PLUGIN_SLURM_WINDOW_H
#define JOBCR_SLURM_PLUGIN_SLURM_WINDOW_H

#include <slurm/slurm.h>

/*
 * How long Slurm lets a job live that it preempts, by slurmctld's own word: of
 * a QOS, too, it has a copy, so that slurmdbd need not be asked.
 */
struct site {
	slurm_conf_t *conf; /* last_update is its time of now */
	partition_info_msg_t *partitions;
	assoc_mgr_info_msg_t *qos; /* NULL: without preempt/qos */
};

/* 0, or -1 with Slurm's errno, and *ret_what (static) says what failed. */
int site_load(struct site *ret, const char **ret_what);

/* Half-loaded ones, too. */
void site_done(struct site *site);

/* Seconds, GraceTime and KillWait; -1: no preemption ends it. */
long long site_window(const struct site *site, const job_info_t *job);

#endif
