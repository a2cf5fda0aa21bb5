/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_THREAD_H
#define JOBCR_UTIL_THREAD_H

#include "util/err.h"

/*
 * Let a thread of its own call fn, and wait for it: so a tracer can be killed,
 * and what it traces goes on, while storage holds the thread in a call.
 */
int thread_run(int (*fn)(void *arg, struct err *err), void *arg,
	       struct err *err);

#endif
