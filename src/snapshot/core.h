/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_CORE_H
#define JOBCR_SNAPSHOT_CORE_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * A process of a snapshot as an ELF core file, as core(5) and debuggers know
 * it: all its threads, its saved memory, the files it had mapped.
 */
struct core_facts {
	int32_t pid;
	char comm[32];
	char exe[4096]; /* not to be printed as it is: text of the job */
	uint32_t threads;
	uint64_t bytes; /* of memory, holes left out */
};

/*
 * Write it to fd, an empty file that can be read back.  pid: as the job sees
 * it; 0: of a snapshot with one process that one.  -ESRCH names those there
 * are.  direct: read past the page cache.  Memory is checked against its hashes
 * (-EBADMSG).
 */
int snapshot_core(int dir_fd, int32_t pid, bool direct, int fd,
		  struct core_facts *ret, struct err *err);

#endif
