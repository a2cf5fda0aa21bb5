/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_NUMA_MAPS_H
#define JOBCR_KERNEL_NUMA_MAPS_H

#include "kernel/maps.h"

/*
 * Where mappings begin that a policy is shown of: their own, or that of the
 * thread.  Ascending; v owned by the caller.  None on a kernel without NUMA.
 */
struct numa_maps {
	uint64_t *v;
	size_t count;
};
int numa_maps_read(int proc_fd, struct numa_maps *ret, struct err *err);

/* Set vma.policy of these. */
void numa_maps_mark(const struct numa_maps *numa, struct vma_list *list);

#endif
