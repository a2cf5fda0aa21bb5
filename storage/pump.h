/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_PUMP_H
#define JOBCR_STORAGE_PUMP_H

#include "storage/bucket.h"
#include "storage/ring.h"

/*
 * A ring with a thread of its own.  A thread that is killed cannot end while
 * its requests are in flight, and storage that hangs keeps them there.  The
 * writer's caller is the tracer of a frozen job: it must be able to die at
 * once, so that the job goes on, and leave the waiting to another thread.
 */
struct pump;

/*
 * bandwidth: borrowed, for all that is written; NULL: no limit.  ready, homes:
 * as ring_init has them.
 */
int pump_new(size_t buffer_bytes, unsigned int buffers, unsigned int ready,
	     const struct ring_homes *homes, struct bucket *bandwidth,
	     struct pump **ret, struct err *err);
/* Waits for what is in flight, while one ends in 100 ms.  NULL too. */
void pump_free(struct pump *p);

uint8_t *pump_buffer(const struct pump *p, unsigned int index);
int pump_home(const struct pump *p, unsigned int index);

/* As ring_start and ring_wait, for the caller's one thread. */
void pump_start(struct pump *p, const struct ring_request *req);
int pump_wait(struct pump *p, unsigned int *ret_index, int *ret_res,
	      struct err *err);

/* pump_wait would return at once. */
bool pump_has_result(struct pump *p);

/* Requests started and not waited for. */
unsigned int pump_in_flight(const struct pump *p);

#endif
