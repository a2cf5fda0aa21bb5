/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_TERMINAL_H
#define JOBCR_RESOURCE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * The terminal that a job has of its supervisor, which holds the other end;
 * both descriptors are borrowed.
 */
struct job_terminal {
	int slave, master;
	pid_t root; /* of the tree, as the worker sees it */
	/*
	 * What was typed and is not read, as util/tty_input.h has it, and
	 * whether ctrl-S holds output back.  Only while the job stands still.
	 */
	int (*input)(void *arg, uint8_t *ret, size_t *ret_len,
		     bool *ret_stopped, struct err *err);
	void *arg;
};

/* Does tty_nr of /proc/PID/stat mean this one?  t may be NULL. */
bool terminal_controls(const struct job_terminal *t, uint32_t tty_nr);

#endif
