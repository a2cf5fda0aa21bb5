/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_THREAD_H
#define JOBCR_RESOURCE_THREAD_H

#include <stdbool.h>
#include <sys/types.h>

#include "inject/remote.h"

/*
 * Before a tree is killed.  The kernel writes "owner died" into every robust
 * mutex that a dying thread holds, also where it lies in a shared file: the
 * restored job would find its locks broken.
 */

/* Does this thread (outer id) hold one, or is it about to? */
bool thread_holds_robust(pid_t tid);

/* Make the kernel forget the list; remote is begun in this thread. */
int thread_forget_robust(struct remote *remote, struct err *err);

#endif
