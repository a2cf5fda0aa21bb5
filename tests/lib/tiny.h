/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_TINY_H
#define JOBCR_TESTS_LIB_TINY_H

#include <stddef.h>
#include <stdint.h>

#include "images/task.pb-c.h"
#include "util/err.h"

/*
 * The snapshot of a tree that never ran.  Each of its threads does nothing
 * but count, in a word at TINY_COUNTER(n): n is 0 in leaders, 1 in others.
 */
#define TINY_FIRST      1000 /* what they begin with */
#define TINY_DATA       0x600000ull
#define TINY_COUNTER(n) (TINY_DATA + 8 * (n))

struct tiny_person {
	int32_t pid, ppid, pgid, sid;
	int32_t tid;             /* of a second thread, 0: none */
	TaskRecord__State state; /* zombies have ended with 3 */
};

/* The root comes first. */
int tiny_write(int dir_fd, const struct tiny_person *people, size_t count,
	       struct err *err);

#endif
