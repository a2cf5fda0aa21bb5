/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_KERNELS_FILE_H
#define JOBCR_UTIL_KERNELS_FILE_H

#include <stdbool.h>

/*
 * Is it a file by which the kernel is told something (/proc, /sys and their
 * kin)?  It may look like any other, and nothing of a job's is in it.
 */
bool is_kernels_file(int fd);

#endif
