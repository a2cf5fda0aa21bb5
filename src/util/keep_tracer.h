/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_KEEP_TRACER_H
#define JOBCR_UTIL_KEEP_TRACER_H

#include <sys/types.h>

#include "util/err.h"

/*
 * What a thread traces stands still until it ends, and it may be killed at
 * any time.  From begin to end it cannot end: the kernel lets it wait before
 * anything of it is given up.
 */
int keep_tracer_begin(pid_t tid, struct err *err);

/* It has gone on, or ends now. */
void keep_tracer_end(pid_t tid);

#endif
