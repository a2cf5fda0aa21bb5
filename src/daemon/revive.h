/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_REVIVE_H
#define JOBCR_DAEMON_REVIVE_H

#include "conf/conf.h"

/*
 * In a child of jobcrd, as in preempt.h.  A supervisor waits for its snapshot.
 * When it cannot be restored the job is requeued and held with the reason;
 * nothing of it is started.
 */
int revive_job(const struct conf *conf, const char *job_id);

#endif
