/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_CHILDREN_H
#define JOBCR_TESTS_LIB_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/clock.h"

/* Processes of a test, and what they tell it in shared counters. */

#define DEADLINE (10 * NSEC_PER_SEC)
#define COUNTERS 4096
extern volatile uint64_t *counters;

void children_init(void); /* once; all counters are 0 */
void reset(void);         /* all counters are 0 again */

/* fork; the child dies with its parent. */
pid_t fork_bound(void);

/* Kill and wait. */
void end(pid_t pid);

void nap_ms(long ms);

/* True when it came to that within DEADLINE. */
bool await_count(int i, uint64_t min);
bool await_state(pid_t pid, char state);

/* The letter of /proc/PID/stat, '-' when there is no such process. */
char state_of(pid_t pid);

#endif
