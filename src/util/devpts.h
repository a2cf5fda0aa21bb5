/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_DEVPTS_H
#define JOBCR_UTIL_DEVPTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * A devpts of a job's own on /dev/pts: whatever else runs on the node, its
 * pseudo terminals have the numbers that they had elsewhere.  /dev/ptmx leads
 * to what is mounted beside it, so that it is the job's, too.
 */

#define DEVPTS_GID 5 /* of its terminals, whoever opens them: "tty" */

/* In the caller's mount namespace, which is nobody else's. */
int devpts_mount(struct err *err);

/*
 * In the one that the descriptor (of a process or a namespace) is of, which
 * the caller, of one thread, enters for a moment.
 */
int devpts_mount_in(int mnt_fd, struct err *err);

/* Has the mount namespace of pid one that is not ours? */
bool devpts_is_own(pid_t pid);

#endif
