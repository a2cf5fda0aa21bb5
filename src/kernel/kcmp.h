/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_KCMP_H
#define JOBCR_KERNEL_KCMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Do two tasks share a kernel object?  pids as the caller sees them; the
 * answers are stable while both are stopped.
 */
enum kcmp_kind { /* as in linux/kcmp.h */
		 KCMP_KIND_FILE,
		 KCMP_KIND_VM,
		 KCMP_KIND_FILES,
		 KCMP_KIND_FS,
		 KCMP_KIND_SIGHAND,
		 KCMP_KIND_IO,
		 KCMP_KIND_SYSVSEM,
};

/*
 * *ret: 0 the same, 1 and 2 an order (less, greater) that is good for
 * sorting.  -ESRCH: one of them is gone.
 */
int kcmp_tasks(pid_t a, pid_t b, enum kcmp_kind kind, int *ret,
	       struct err *err);

/*
 * Has the task a list of semaphore undos?  It may be empty: threads share one,
 * used or not.  The calling thread leaves its own.
 */
int kcmp_has_undos(pid_t tid, bool *ret, struct err *err);

/* Two descriptors, each in its process. */
int kcmp_files(pid_t a, int fd_a, pid_t b, int fd_b, int *ret, struct err *err);

/*
 * A descriptor of process a with what epoll descriptor epfd of process b
 * holds under the number tfd, the nth of that number (from 0).  -ENOENT: the
 * epoll has no such entry.
 */
int kcmp_epoll(pid_t a, int fd_a, pid_t b, int epfd, int tfd, uint32_t nth,
	       int *ret, struct err *err);

#endif
