/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_ELSEWHERE_H
#define JOBCR_DAEMON_ELSEWHERE_H

#include "conf/conf.h"

/*
 * Slurm says that a job runs on another node: is it restored there?  Asks the
 * jobcrd of that node, a few seconds at most.
 */
enum elsewhere {
	ELSEWHERE_UNKNOWN, /* nobody answers there */
	ELSEWHERE_UNHEARD, /* it has not told the jobcrd there of itself */
	ELSEWHERE_RESTORING,
	ELSEWHERE_RUNS, /* or has run to its end */
};
enum elsewhere elsewhere_look(const struct conf *conf, const char *node,
			      const char *job_id);

#endif
