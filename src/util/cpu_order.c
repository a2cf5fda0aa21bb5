/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/cpu_order.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/near.h"
#include "util/topology.h"

#define SMT_ACTIVE "/sys/devices/system/cpu/smt/active"

static bool has_threads(void)
{
	auto_close int fd = open(SMT_ACTIVE, O_RDONLY | O_CLOEXEC);
	char active = '0';

	return fd >= 0 && read(fd, &active, 1) == 1 && active == '1';
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
	static const struct topology_kind kinds[] = {
		{ HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL },
		{ HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL },
	};
	hwloc_topology_t t;

	*ret = (struct cpu_order){ 0 };
	/* Of all CPUs, also where we may not run. */
	if (topology_load(description, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED,
			  kinds, ARRAY_SIZE(kinds), &t) < 0)
		return;
	take(t, ret);
	hwloc_topology_destroy(t);
}

void cpu_order_read(struct cpu_order *ret)
{
	*ret = (struct cpu_order){ 0 };
	if (has_threads() || near_has_several())
		cpu_order_described(NULL, ret);
}
