/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_MEND_H
#define JOBCR_DAEMON_MEND_H

#include "conf/conf.h"

/*
 * In a child of jobcrd, when it starts or when another child was killed: a
 * checkpoint that was killed halfway, worker and all, may have left the
 * output files of a job put aside that goes on, or the cgroup in which one
 * was sheltered that has ended.
 */
int mend_jobs(const struct conf *conf);

#endif
