/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_TERMINAL_H
#define JOBCR_CLI_TERMINAL_H

#include "cli/cli.h"

/* How the terminal of a job is looked at. */
struct look {
	const char *job_id;
	bool read_only, steal;
	int key;    /* that begins a command to us: a control character; 0 */
	bool runs;  /* jobcr run, restore: signals are the job's */
	int socket; /* our end of the pair, if it is attached already; -1 */
};
#define LOOK_KEY 0x1d /* ctrl-] */

/* ctrl-X, ^X or none; negative: not one of these. */
int look_parse_key(const char *text, int *ret);

/* A pair: [0] is ours, [1] is for the supervisor. */
int look_pair(int ret[2], struct err *err);

/* The terminal that we are on, or -1. */
int look_own_terminal(void);

/*
 * Until the job ends, or the user goes: the exit status to end with.  What
 * was done to our terminal is undone.
 */
int look_at_job(const struct cli *cli, struct look *look);

#endif
