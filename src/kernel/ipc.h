/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_IPC_H
#define JOBCR_KERNEL_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * The IPC namespace of a job, which the calling thread enters for a while:
 * System V objects can be seen from inside only.
 */
struct ipc_visit {
	int own; /* the way back; -1: nowhere */
};

/* proc_fd: /proc/PID of somebody in it. */
int ipc_enter(int proc_fd, struct ipc_visit *ret, struct err *err);
/* In any state.  The process ends if it cannot go back. */
void ipc_leave(struct ipc_visit *visit);

/* *ret: is it the calling thread's own?  -ESRCH: the process has ended. */
int ipc_is_own(int proc_fd, bool *ret, struct err *err);

enum ipc_kind { IPC_SHM, IPC_SEM, IPC_MSG };

/* All objects of a kind in the calling thread's namespace, ascending. */
int ipc_list(enum ipc_kind kind, int **ret_ids, size_t *ret_count,
	     struct err *err);

/* The number that the next object of a kind gets, if it is free. */
int ipc_set_next_id(enum ipc_kind kind, int id, struct err *err);

/* The n-th number of a limit below /proc/sys, such as kernel/sem. */
int ipc_limit(const char *name, unsigned int n, uint64_t *ret, struct err *err);

#endif
