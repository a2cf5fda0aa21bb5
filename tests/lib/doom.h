/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_DOOM_H
#define JOBCR_TESTS_LIB_DOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes in the pid namespace of init_pid, but for itself. */
size_t doom_count(pid_t init_pid);

/*
 * kill -9 for each of them, then for init; true when every one is dead
 * within ten seconds (a zombie is).
 */
bool doom(pid_t init_pid);

/* Kill a worker, so long after it has said that it is where it is to die. */
void doom_later(pid_t worker, int reached, uint64_t delay_ns);

#endif
