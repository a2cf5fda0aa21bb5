/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_MEMORY_LIMIT_H
#define JOBCR_KERNEL_MEMORY_LIMIT_H

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * How many bytes of memory and swap a process and its children may use in
 * all, as its cgroup (v1 or v2) and those above say.  UINT64_MAX: no limit.
 */
int memory_limit(pid_t pid, uint64_t *ret, struct err *err);

#endif
