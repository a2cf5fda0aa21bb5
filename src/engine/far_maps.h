/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FAR_MAPS_H
#define JOBCR_ENGINE_FAR_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Which files a process that is not ours has mapped.  It can make whoever
 * reads its maps wait for its address space as long as it likes (mmap of a
 * FUSE file whose server does not answer; hung NFS), so a process of its own
 * reads them, which can be killed while it waits.
 */
struct far_maps {
	const dev_t *devices; /* files on others do not matter; borrowed */
	size_t ndevices;
	pid_t helper; /* 0: none is running */
	int channel;
};

struct far_file {
	dev_t dev;
	uint64_t inode;
};

/*
 * Files of these devices that the process has mapped, but for System V
 * segments; *ret is the caller's to free.  -ETIMEDOUT: it was not to be had
 * within limit_ns.
 */
int far_maps_read(struct far_maps *f, pid_t pid, uint64_t limit_ns,
		  struct far_file **ret, size_t *ret_count, struct err *err);
void far_maps_done(struct far_maps *f);

#endif
