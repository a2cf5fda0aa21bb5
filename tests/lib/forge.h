/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_FORGE_H
#define JOBCR_TESTS_LIB_FORGE_H

#include <stdbool.h>

#include "util/err.h"

/*
 * Make a snapshot one of a node with another kernel: its vDSO has the
 * functions of this one's at the same places, but traps instead of their code
 * behind the entries.  slightly: so little that, once it was made to lead
 * elsewhere, it looks as if it had been this kernel's.
 */
int forge_kernel(const char *dir, bool slightly, struct err *err);

/* How many images a process has that lead elsewhere; -1: it is gone. */
int forge_count(int pid);

#endif
