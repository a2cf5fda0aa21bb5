/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_WHERE_H
#define JOBCR_TESTS_LIB_WHERE_H

#include <sys/types.h>

/*
 * Diagnostics: what each thread of a process and of all its descendants is
 * doing, for a test that waits in vain.
 */
void where_are(pid_t pid);

#endif
