/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_TAP_H
#define JOBCR_TESTS_LIB_TAP_H

#include <stdbool.h>

/* Test Anything Protocol.  One file per behaviour; the plan comes last. */

/* One result; the message states what must be true.  Returns pass. */
bool ok(bool pass, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A result that cannot be had here, with the reason. */
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The whole file cannot run here: prints the plan and exits 0. */
void skip_all(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* A line for the log. */
void diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print the plan; the value for main to return. */
int done_testing(void);

#endif
