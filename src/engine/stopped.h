/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_STOPPED_H
#define JOBCR_ENGINE_STOPPED_H

#include "engine/freeze.h"

/*
 * What has to be done to a thread as soon as it has stopped, and what is
 * taken from it once all have.
 */

/*
 * Hide that the thread was stopped: an EINTR of ours, a half-done critical
 * section.  Lets it run for an instant when it is inside the vDSO, whose
 * code must not be left on another kernel; not after leave_by, for then others
 * wait for too long (both monotonic ns).
 */
int stopped_settle(struct frozen_task *task, struct frozen_thread *thread,
		   uint64_t deadline, uint64_t leave_by, struct err *err);

/*
 * Of a thread that stops only when it was given up already: an EINTR of ours
 * is hidden, and nothing else, since it goes on at once.
 */
int stopped_mend(struct frozen_thread *thread, struct err *err);

/* Registers for both sides, mask, queues, ids. */
int stopped_take(struct frozen_task *task, struct frozen_thread *thread,
		 struct err *err);

#endif
