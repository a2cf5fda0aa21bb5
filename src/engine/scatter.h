/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_SCATTER_H
#define JOBCR_ENGINE_SCATTER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Contents for the memory of processes that are being built: little pieces
 * are gathered and put there with one call.  Of one thread.
 */
struct scatter;

int scatter_new(struct scatter **ret, struct err *err);

/* data is copied, or there when this returns.  pid, and as the job sees it. */
int scatter_put(struct scatter *s, pid_t pid, int32_t ns_pid, uint64_t at,
		const uint8_t *data, size_t len, struct err *err);

/* All of it is there. */
int scatter_flush(struct scatter *s, struct err *err);

void scatter_free(struct scatter *s); /* NULL too */

#endif
