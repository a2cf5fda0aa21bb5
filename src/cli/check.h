/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_CHECK_H
#define JOBCR_CLI_CHECK_H

#include <stdarg.h>
#include <stdbool.h>

#include "cli/cli.h"

void check_line(const char *state, const char *what, const char *fmt,
		va_list ap);

/* A line of `jobcr check`: all is well, or something worth knowing. */
void check_good(const char *what, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void check_note(const char *what, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Of one job; the exit status of the command. */
int check_job(const struct cli *cli, char *job_id, bool json);

/* Slurm's configuration, where there is one. */
void check_slurm(void);

#endif
