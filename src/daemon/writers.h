/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_WRITERS_H
#define JOBCR_DAEMON_WRITERS_H

#include <stdbool.h>

#include "conf/conf.h"
#include "util/err.h"

/*
 * A place among MaxWriters (jobcr.conf), held by a process of its own for as
 * long as the descriptor is open: it shows all nodes that it is alive.
 */

/*
 * Wait for one.  still() is asked every second whether it is still wanted;
 * when not, -ECANCELED.  *ret_fd: close it to leave; -1 when there is no
 * limit.
 */
int writers_enter(const struct conf *conf, const char *job_id,
		  bool (*still)(void *arg), void *arg, int *ret_fd,
		  struct err *err);

#endif
