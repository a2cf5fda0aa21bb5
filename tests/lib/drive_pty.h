/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_DRIVE_PTY_H
#define JOBCR_TESTS_LIB_DRIVE_PTY_H

#include "util/pty_copy.h"

/*
 * What a supervisor does for pseudo terminals, by a channel of its own: a
 * worker that is killed leaves nothing there for the next one.
 */

/* A process that does it, until the descriptor that is returned is closed. */
int drive_pty_start(void);

/* The worker. */
int drive_pty_ask(int sock, int master, struct pty_copy *ret, struct err *err);

#endif
