/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_TRIAL_H
#define JOBCR_KERNEL_TRIAL_H

#include <sys/types.h>

/* What this kernel can do is tried out on children that are thrown away. */

/* One that waits; the caller kills and reaps it.  -1: there is none. */
pid_t trial_child(void);

/*
 * One that is seized with options, stopped, and asked one thing.  0, or a
 * positive errno: what ask returns, or why it could not be asked.
 */
int trial_tracee(unsigned long options, int (*ask)(pid_t pid));

#endif
