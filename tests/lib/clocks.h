/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_CLOCKS_H
#define JOBCR_TESTS_LIB_CLOCKS_H

#include <stdint.h>

/*
 * A new time namespace for the children of the caller, so many ns ahead of
 * its own.  0 or a negative errno.
 */
int64_t clocks_set(int64_t monotonic, int64_t boottime);

#endif
