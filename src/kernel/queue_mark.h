/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_QUEUE_MARK_H
#define JOBCR_KERNEL_QUEUE_MARK_H

#include <stdbool.h>
#include <sys/socket.h>

#include "util/err.h"

/*
 * The kernel shows an empty packet of a queue to the first look (MSG_PEEK) and
 * passes it over in all others.  So a look that may have seen one leaves a
 * mark at the socket, a filter that lets all pass: who finds it knows that not
 * all can be seen.  It goes with the look that finds nothing to be read.
 */
bool queue_marked(int fd);

/* Instructions in its filter, 0: none; *ret_mark: it is the mark. */
socklen_t queue_mark_filter(int fd, bool *ret_mark);

int queue_mark_set(int fd, struct err *err);
void queue_mark_drop(int fd); /* a filter of the job's own stays */

#endif
