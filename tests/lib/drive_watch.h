/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_DRIVE_WATCH_H
#define JOBCR_TESTS_LIB_DRIVE_WATCH_H

#include "src/engine/engine.h"
#include "util/watches.h"

/* As drive_watch has it. */
enum engine_watch drive_watch_mode(void);

/*
 * As the keeper of a job hands watches out and takes them in.  kept: a socket
 * with them, or -1; base: where the snapshot is that they speak of, which is
 * opened, or -1.
 */
int drive_watch_take(int kept, const char *base, struct watches *ret);
void drive_watch_give(int keep, struct watches *watches);

/* Of the snapshot in a directory; 0: there is none. */
uint32_t drive_watch_generation(int dir_fd);

#endif
