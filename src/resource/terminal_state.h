/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_TERMINAL_STATE_H
#define JOBCR_RESOURCE_TERMINAL_STATE_H

#include <asm/termbits.h>
#include <stdbool.h>

#include "images/process.pb-c.h"
#include "util/err.h"

/* What any terminal has.  A helper of the resources for terminals. */

/* Somebody has locked some of its settings. */
bool terminal_is_locked(int fd);

/*
 * Settings and size, by either end; s borrows settings.  What is left to be
 * set: exclusive, stopped, input.
 */
int terminal_state_read(int fd, TerminalState *s, struct termios2 *settings,
			struct err *err);

/* All of it, by the slave. */
int terminal_state_set(int slave, const TerminalState *s, struct err *err);

#endif
