/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_COPY_OUT_H
#define JOBCR_UTIL_COPY_OUT_H

#include <sys/types.h>

#include "util/err.h"

/*
 * What can only be had by taking it out and putting it back, by one whose
 * death is the death of those whose it is.
 */
enum copy_kind {
	COPY_PTY,    /* fd: a master; see pty_copy.h */
	COPY_QUEUE,  /* fd: a message queue; see queue_copy.h */
	COPY_EVENTFD /* see eventfd_copy.h */
};

/*
 * Returns a new file with it; -ENOTSUP: nothing was touched.  tracer: who
 * keeps them standing still, and cannot end meanwhile; 0: nobody knows.
 */
int copy_out(enum copy_kind kind, int fd, pid_t tracer, struct err *err);

#endif
