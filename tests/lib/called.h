/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_CALLED_H
#define JOBCR_TESTS_LIB_CALLED_H

#include "engine/freeze.h"

/*
 * Let the first thread of a frozen task call getpid; true when the answer is
 * right.  Its calls have not ended: remote_end(task->remote).
 */
bool called_getpid(struct frozen_task *task, struct err *err);

/* A thread, or a process, that counts itself in counters[0] and waits. */
void *wait_thread(void *arg);

#endif
