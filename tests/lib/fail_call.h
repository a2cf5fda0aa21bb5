/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_FAIL_CALL_H
#define JOBCR_TESTS_LIB_FAIL_CALL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * That system call fails with that errno from now on, for this thread and
 * whoever it creates: as on a kernel without it, or where it is forbidden.
 * Where it can be so, without no_new_privs.  false: no seccomp filters here.
 */
bool fail_call(uint32_t nr, int num);

#endif
