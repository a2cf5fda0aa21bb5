/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_VICTIM_H
#define JOBCR_TESTS_LIB_VICTIM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/*
 * A victim sets up state, waits, and then proves that every bit of it is as
 * it was.  What happens to it meanwhile (checkpoint, kill, restore, nothing)
 * is the business of tests/lib/roundtrip; a victim never knows.  All talk is
 * by files in the directory $VICTIM_DIR (created by roundtrip).
 */

/*
 * Say "ready" and wait for "go".  Returns in the process that was restored,
 * or in the same one.  Polls by access(2) and nanosleep(2), holds nothing
 * open.  A sleep that ends with EINTR is counted, not hidden.
 */
void victim_wait(void);
extern unsigned int victim_interrupts;

/*
 * The same, where a checkpoint must be refused with a finding (or an error)
 * that contains text; then the victim goes on.
 */
void victim_wait_refused(const char *text);

/* For other processes of the victim: wait until go, say nothing. */
void victim_wait_go(void);

/* Remember what is wrong; returns pass.  May be called in children too. */
bool victim_check(bool pass, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The result: pass and no failed check (text says what must be true).
 * Ends the process.
 */
void victim_verdict(bool pass, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* This cannot be had here, or as this user. */
void victim_skip(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* Whether the kernel is at least this one: what older ones have not. */
bool victim_kernel(unsigned int major, unsigned int minor);

/* Setting up failed: ends the process at once. */
void victim_need(bool done, const char *what);

/* Wait (at most 10 s) until condition holds, in steps of a millisecond. */
#define victim_until(condition)                                                \
	({                                                                     \
		unsigned int victim_turns = 0;                                 \
		while (!(condition) && victim_turns++ < 10000)                 \
			victim_nap(1000000);                                   \
		(condition);                                                   \
	})
void victim_nap(uint64_t ns);

/*
 * A timer of the calling thread that sends it sig; and the time between two
 * of its signals at which it takes `share` of a CPU.  In some virtual machines
 * a timer costs 50 us each time: too many of them, and nobody else gets any.
 */
timer_t victim_timer(int sig);
double victim_timer_period(int sig, double share);

/* A path of this victim's own, in storage of the calling thread. */
const char *victim_path(const char *name);

#endif
