/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_LIMITS_H
#define JOBCR_KERNEL_LIMITS_H

#include <stdint.h>

#include "util/err.h"

/*
 * /proc/PID/limits: for processes of other users, of which prlimit(2) tells
 * with CAP_SYS_RESOURCE only.  RLIM64_INFINITY: unlimited.
 */
#define LIMITS_TEXT_MAX 65536

/* By the name that the limit has there, such as "Max open files". */
int limits_text(const char *text, const char *name, uint64_t *ret_soft,
		uint64_t *ret_hard, struct err *err);

/* The hard limit of the process; proc_fd: its /proc/PID. */
int limits_hard(int proc_fd, const char *name, uint64_t *ret, struct err *err);

/* How much memory the process has locked, in bytes. */
int limits_locked(int proc_fd, uint64_t *ret, struct err *err);

#endif
