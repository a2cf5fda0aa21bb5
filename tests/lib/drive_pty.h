/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_DRIVE_PTY_H
#define JOBCR_TESTS_LIB_DRIVE_PTY_H

#include "util/copy_out.h"

/*
 * What a supervisor copies out for a checkpoint, by a channel of its own: a
 * worker that is killed leaves nothing there for the next one.
 */

/* A process that does it, until the descriptor that is returned is closed. */
int drive_pty_start(void);

/* The worker. */
int drive_pty_ask(int sock, enum copy_kind kind, int fd, int *ret_file,
		  struct err *err);

#endif
