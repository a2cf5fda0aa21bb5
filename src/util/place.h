/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_PLACE_H
#define JOBCR_UTIL_PLACE_H

#include <sys/types.h>

/*
 * Put a process into the cgroups of another and on its CPUs, as far as can
 * be: what runs for somebody stays within the limits that hold for them.
 */
void place_like(pid_t pid, pid_t like);

#endif
