/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_QUICK_MAPS_H
#define JOBCR_KERNEL_QUICK_MAPS_H

#include <stdbool.h>
#include <sys/types.h>

#include "kernel/maps.h"

/*
 * What smaps and numa_maps tell of mappings, without the walk through all page
 * tables that the kernel makes for each of them (vma_iter.h), where that can be
 * had, and where it is sure to be the same (vma_flags.h).
 */
struct quick_maps;

/*
 * Takes some milliseconds, and maps some memory of our own for that time: no
 * other thread may do so meanwhile.  Fails where the kernel, or our rights, do
 * not allow it; then there are smaps and numa_maps.
 */
int quick_maps_new(struct quick_maps **ret, struct err *err);
void quick_maps_free(struct quick_maps *q); /* NULL too */

/*
 * As maps_read, and with vma.policy set where the mapping itself may have one,
 * of a process that does not run; pid is in our own namespace.  vma.present is
 * not known; vma.common is also of what only might be others', but not of what
 * is in swap and is not.  false: it has something that cannot be told, or none
 * of it can.
 */
bool quick_maps_read(const struct quick_maps *q, pid_t pid, int proc_fd,
		     struct vma_list *ret);

#endif
