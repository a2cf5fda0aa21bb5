/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_TOPOLOGY_H
#define JOBCR_UTIL_TOPOLOGY_H

#include <hwloc.h>
#include <stddef.h>

/* Objects that are wanted besides CPUs and memories. */
struct topology_kind {
	hwloc_obj_type_t type;
	enum hwloc_type_filter_e filter;
};

/*
 * What hwloc knows of this machine, or, with a description (hwloc(7)), of that
 * one; flags are its own.  -1: nothing can be told.  Owned by the caller.
 * Takes milliseconds, and sets a variable of the environment: before there are
 * threads.
 */
int topology_load(const char *description, unsigned long flags,
		  const struct topology_kind *kinds, size_t n,
		  hwloc_topology_t *ret);

#endif
