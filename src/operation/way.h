/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_WAY_H
#define JOBCR_OPERATION_WAY_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "conf/conf.h"

/*
 * Who saves a job that is to go on gives way to who saves one that is to end.
 * Its worker is killed, which harms no job; it is named in the job's lock,
 * which the one holds and the other waits for.
 */
#define WAY_SIGNAL SIGUSR2 /* that kills such a worker */

/* pid, a child of ours, can be had to give way; or 0: it has ended. */
void way_note(const struct conf *conf, const char *job_id, pid_t pid);

/* Kill it; false: there is none. */
bool way_ask(const struct conf *conf, const char *job_id);

#endif
