/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_DRIVE_SUPERVISOR_H
#define JOBCR_TESTS_LIB_DRIVE_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "drive.h"

/* The process that stands for jobcr-supervisor; by requests on a socket. */

enum op { OP_START, OP_SET_TIME, OP_SPAWN, OP_RUNNING, OP_STATUS };

struct request {
	enum op op;
	int64_t a, b;
};

struct reply {
	int64_t value; /* or a negative errno */
	int status;
	bool ended;
};

/*
 * argv: of the job's first process, NULL: it is to be restored.  The first
 * reply has the pid of the job's init.
 */
void drive_supervise(const struct drive_place *place, char *const argv[],
		     char *const envp[], int sock) __attribute__((noreturn));

#endif
