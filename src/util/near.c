/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/near.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/topology.h"

struct near {
	hwloc_topology_t topology;
	hwloc_bitmap_t cpus[NEAR_NODES]; /* NULL: none that we may use */
	uint64_t memories;
};

/* "0-1": several; "0": one.  No such file: a kernel without NUMA. */
bool near_has_several(void)
{
	auto_close int fd = open("/sys/devices/system/node/has_memory",
				 O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return strpbrk(text, ",-") != NULL;
}

/* CPUs that are near, and on which we run. */
static hwloc_bitmap_t take_cpus(hwloc_const_bitmap_t ours, hwloc_obj_t node)
{
	hwloc_bitmap_t cpus = hwloc_bitmap_dup(node->cpuset);

	if (cpus && ours && hwloc_bitmap_and(cpus, cpus, ours) < 0)
		hwloc_bitmap_zero(cpus);
	if (cpus && !hwloc_bitmap_iszero(cpus))
		return cpus;
	hwloc_bitmap_free(cpus);
	return NULL;
}

static void take_nodes(struct near *n)
{
	hwloc_bitmap_t ours = hwloc_bitmap_alloc();
	hwloc_obj_t node = NULL;

	if (!ours ||
	    hwloc_get_cpubind(n->topology, ours, HWLOC_CPUBIND_THREAD) < 0) {
		hwloc_bitmap_free(ours);
		ours = NULL;
	}
	while ((node = hwloc_get_next_obj_by_type(n->topology,
						  HWLOC_OBJ_NUMANODE, node))) {
		if (node->os_index >= NEAR_NODES)
			continue;
		n->memories |= 1ull << node->os_index;
		n->cpus[node->os_index] = take_cpus(ours, node);
	}
	hwloc_bitmap_free(ours);
}

static struct near *make(const char *description)
{
	/* Without groups a node would have all CPUs. */
	static const struct topology_kind groups = {
		HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE
	};
	struct near *n = calloc(1, sizeof(*n));

	if (!n || topology_load(description, 0, &groups, 1, &n->topology) < 0) {
		free(n);
		return NULL;
	}
	take_nodes(n);
	if (n->memories & (n->memories - 1))
		return n;
	near_free(n);
	return NULL;
}

struct near *near_described(const char *description)
{
	return make(description);
}

struct near *near_new(void)
{
	return near_has_several() ? make(NULL) : NULL;
}

void near_free(struct near *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < NEAR_NODES; i++)
		hwloc_bitmap_free(n->cpus[i]);
	hwloc_topology_destroy(n->topology);
	free(n);
}

uint64_t near_memories(const struct near *n)
{
	return n ? n->memories : 0;
}

static bool is_near(const struct near *n, size_t node, const uint8_t *cpus,
		    size_t len)
{
	for (unsigned int cpu = 0; cpu < len * 8; cpu++)
		if (cpus[cpu / 8] >> cpu % 8 & 1 &&
		    hwloc_bitmap_isset(n->cpus[node], cpu))
			return true;
	return false;
}

uint64_t near_cpus(const struct near *n, const uint8_t *cpus, size_t len)
{
	uint64_t nodes = 0;

	for (size_t i = 0; n && i < NEAR_NODES; i++)
		if (n->cpus[i] && is_near(n, i, cpus, len))
			nodes |= 1ull << i;
	return nodes;
}

static bool is_known(const struct near *n, int node)
{
	return n && node >= 0 && (unsigned int)node < NEAR_NODES &&
	       n->memories >> node & 1;
}

void near_run(const struct near *n, int node)
{
	if (is_known(n, node) && n->cpus[node])
		(void)hwloc_set_cpubind(n->topology, n->cpus[node],
					HWLOC_CPUBIND_THREAD);
}

static hwloc_bitmap_t make_set(uint64_t nodes)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	for (unsigned int i = 0; set && i < NEAR_NODES; i++)
		if (nodes >> i & 1 && hwloc_bitmap_set(set, i) < 0) {
			hwloc_bitmap_free(set);
			return NULL;
		}
	return set;
}

/* Without HWLOC_MEMBIND_STRICT others help when a node has no memory left. */
void near_put(const struct near *n, void *data, size_t len, int node)
{
	hwloc_bitmap_t set = is_known(n, node) ? make_set(1ull << node) : NULL;

	if (set)
		(void)hwloc_set_area_membind(n->topology, data, len, set,
					     HWLOC_MEMBIND_BIND,
					     HWLOC_MEMBIND_BYNODESET);
	hwloc_bitmap_free(set);
}

void near_prefer(const struct near *n, uint64_t nodes)
{
	const uint64_t known = nodes & near_memories(n);
	hwloc_membind_policy_t policy = HWLOC_MEMBIND_BIND;
	hwloc_bitmap_t set;

	if (!n)
		return;
	if (!known)
		policy = HWLOC_MEMBIND_DEFAULT;
	else if (known & (known - 1))
		policy = HWLOC_MEMBIND_INTERLEAVE;
	set = make_set(known ? known : n->memories);
	if (set)
		(void)hwloc_set_membind(n->topology, set, policy,
					HWLOC_MEMBIND_THREAD |
						HWLOC_MEMBIND_BYNODESET);
	hwloc_bitmap_free(set);
}

int near_nth(uint64_t nodes, unsigned int i)
{
	if (!nodes)
		return NEAR_ANY;
	for (i %= (unsigned int)__builtin_popcountll(nodes); i; i--)
		nodes &= nodes - 1;
	return __builtin_ctzll(nodes);
}

uint64_t near_positions(uint64_t nodes, uint64_t allowed)
{
	uint64_t positions = 0;

	for (unsigned int i = 0; allowed; i++, allowed &= allowed - 1)
		if (nodes & allowed & -allowed)
			positions |= 1ull << i;
	return positions;
}

uint64_t near_nodes(uint64_t positions, uint64_t allowed)
{
	uint64_t nodes = 0;

	for (unsigned int i = 0; i < NEAR_NODES && allowed; i++)
		if (positions >> i & 1)
			nodes |= 1ull << near_nth(allowed, i);
	return nodes;
}
