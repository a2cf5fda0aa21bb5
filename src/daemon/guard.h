/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_GUARD_H
#define JOBCR_DAEMON_GUARD_H

#include <stdbool.h>

#include "daemon/subject.h"

/*
 * A job that was just restored: should it crash (crash.h) within RestoreGuard,
 * before anything else happened to it, it is requeued and held with the reason.
 * Otherwise its end is its own.  The supervisor waits for that, from
 * guard_begin before the restore until its connection (the subject's) ends.
 */
int guard_begin(const struct subject *s, struct err *err);

enum guard_result { GUARD_LIVES, GUARD_ENDED, GUARD_HELD };

/* again: it did so before, from this snapshot, and was released. */
enum guard_result guard_job(struct subject *s, bool again);

#endif
