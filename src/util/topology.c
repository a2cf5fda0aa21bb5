/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/topology.h"

#include <stdlib.h>

/* No plugins: they are for devices, and none is run with our rights. */
static int begin(hwloc_topology_t *ret)
{
	return setenv("HWLOC_PLUGINS_PATH", "", 1) < 0
		       ? -1
		       : hwloc_topology_init(ret);
}

/*
 * Only what is asked for is looked at, no caches, and no visit to each CPU
 * (x86).
 */
int topology_load(const char *description, unsigned long flags,
		  const struct topology_kind *kinds, size_t n,
		  hwloc_topology_t *ret)
{
	hwloc_topology_t t;

	if (begin(&t) < 0)
		return -1;
	(void)hwloc_topology_set_all_types_filter(t,
						  HWLOC_TYPE_FILTER_KEEP_NONE);
	for (size_t i = 0; i < n; i++)
		(void)hwloc_topology_set_type_filter(t, kinds[i].type,
						     kinds[i].filter);
	(void)hwloc_topology_set_flags(t, flags);
	(void)hwloc_topology_set_components(
		t, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
	if ((description && hwloc_topology_set_synthetic(t, description) < 0) ||
	    hwloc_topology_load(t) < 0) {
		hwloc_topology_destroy(t);
		return -1;
	}
	*ret = t;
	return 0;
}
