/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_PARALLEL_H
#define JOBCR_UTIL_PARALLEL_H

#include <stddef.h>

/*
 * fn(arg, i) for each i below n, begun in ascending order: by the caller and
 * by as many threads as this process has other CPUs.  Where threads cannot be
 * had, by fewer.  Signals are for the caller.
 */
typedef void (*parallel_fn)(void *arg, size_t i);
void parallel_run(size_t n, parallel_fn fn, void *arg);

#endif
