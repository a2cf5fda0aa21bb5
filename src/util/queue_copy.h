/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_QUEUE_COPY_H
#define JOBCR_UTIL_QUEUE_COPY_H

#include <stdint.h>

#include "util/err.h"

/*
 * The messages of a POSIX message queue, which can only be had by taking them
 * out: by one whose death is the death of its processes, while these stand
 * still and none of them waits for a notification.
 */
#define QUEUE_COPY_BYTES   (16u << 20) /* of all messages */
#define QUEUE_COPY_MESSAGE (2u << 20)  /* of each one there may be */

/* Before each message, in order: as mq_receive(3) gave it. */
struct queue_copy {
	uint32_t priority;
	uint32_t len;
};

/* What of a queue its file tells: bytes in it, who is to be notified. */
struct queue_state {
	uint64_t bytes;
	uint64_t notified; /* 0: nobody */
};
int queue_state_read(int queue, struct queue_state *ret, struct err *err);

/*
 * All of it is put back as it was.  queue can be read and written; returns a
 * new file with the messages.  -ENOTSUP: nothing was touched.
 */
int queue_copy_file(int queue, struct err *err);

#endif
