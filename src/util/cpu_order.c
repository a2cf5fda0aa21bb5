/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/cpu_order.h"

#include <fcntl.h>
#include <hwloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/near.h"

#define SMT_ACTIVE "/sys/devices/system/cpu/smt/active"

static bool has_threads(void)
{
	auto_close int fd = open(SMT_ACTIVE, O_RDONLY | O_CLOEXEC);
	char active = '0';

	return fd >= 0 && read(fd, &active, 1) == 1 && active == '1';
}

/* Of all CPUs, also where we may not run; no visit to each of them (x86). */
static int load(hwloc_topology_t *ret, const char *description)
{
	hwloc_topology_t t;

	if (hwloc_topology_init(&t) < 0)
		return -1;
	(void)hwloc_topology_set_all_types_filter(t,
						  HWLOC_TYPE_FILTER_KEEP_NONE);
	(void)hwloc_topology_set_type_filter(t, HWLOC_OBJ_PACKAGE,
					     HWLOC_TYPE_FILTER_KEEP_ALL);
	(void)hwloc_topology_set_type_filter(t, HWLOC_OBJ_CORE,
					     HWLOC_TYPE_FILTER_KEEP_ALL);
	(void)hwloc_topology_set_flags(t,
				       HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
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

static void take(hwloc_topology_t t, struct cpu_order *ret)
{
	int n = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PU);
	uint32_t *v = n > 0 ? calloc((size_t)n, sizeof(*v)) : NULL;
	bool ascending = true;
	hwloc_obj_t pu = NULL;
	size_t count = 0;

	while (v && count < (size_t)n &&
	       (pu = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_PU, pu))) {
		v[count] = pu->os_index;
		ascending = ascending && (!count || v[count - 1] < v[count]);
		count++;
	}
	if (!ascending) {
		*ret = (struct cpu_order){ v, count };
		return;
	}
	free(v);
}

void cpu_order_described(const char *description, struct cpu_order *ret)
{
	hwloc_topology_t t;

	*ret = (struct cpu_order){ 0 };
	if (load(&t, description) < 0)
		return;
	take(t, ret);
	hwloc_topology_destroy(t);
}

void cpu_order_read(struct cpu_order *ret)
{
	*ret = (struct cpu_order){ 0 };
	if ((has_threads() || near_has_several()) &&
	    near_without_plugins() == 0)
		cpu_order_described(NULL, ret);
}
