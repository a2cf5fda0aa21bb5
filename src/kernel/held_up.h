/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_HELD_UP_H
#define JOBCR_KERNEL_HELD_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * At which file does the kernel hold a process that cannot be killed?  Found by
 * the calls that its threads are in.  true: the path of one, cut if it is
 * longer than room; false: by none whose file we can tell.
 */
bool held_up_at(pid_t pid, char *ret, size_t room);

#endif
