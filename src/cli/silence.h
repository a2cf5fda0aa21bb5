/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_CLI_SILENCE_H
#define JOBCR_CLI_SILENCE_H

#include <sys/types.h>

/*
 * Whoever looks into a store that hangs cannot even say so.  A process apart
 * does, on stderr, when the look has not come to its end in some seconds.
 */
struct silence {
	int fd; /* -1: nobody watches */
	pid_t pid;
};

struct silence silence_begin(const char *dir);
void silence_end(struct silence *s);

#endif
