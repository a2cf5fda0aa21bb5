/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_NEAR_H
#define JOBCR_UTIL_NEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The memories of a machine that has several (NUMA nodes), and the CPUs that
 * are near them.  All that is done with it is for speed: what cannot be had is
 * left as it is, and nothing fails.
 *
 * A set of nodes is a mask of their numbers; nodes from NEAR_NODES on are not
 * known.  NULL stands for a machine with one memory: nothing is done there.
 */
struct near;

#define NEAR_NODES 64u
#define NEAR_ANY   (-1) /* no node */

/*
 * This machine: what of it this process may use; NULL: one memory, or nothing
 * can be told.  Takes milliseconds where there are several, and sets a variable
 * of the environment: before there are threads.
 */
struct near *near_new(void);

/* What near_new looks at first. */
bool near_has_several(void);

/* One that is described: see hwloc(7).  Nothing can be bound there. */
struct near *near_described(const char *description);

void near_free(struct near *n); /* NULL too */

/* The nodes that have memory. */
uint64_t near_memories(const struct near *n);

/* Those of them that these CPUs are near: a mask of len bytes. */
uint64_t near_cpus(const struct near *n, const uint8_t *cpus, size_t len);

/* The calling thread runs near this node only. */
void near_run(const struct near *n, int node);

/* Memory that is not touched yet comes from this node, if it has some left. */
void near_put(const struct near *n, void *data, size_t len, int node);

/*
 * What the calling thread touches first comes from these, in turns; 0: as
 * usual.  Also what it touches in another process, where that has said nothing.
 */
void near_prefer(const struct near *n, uint64_t nodes);

/* Things are spread evenly: the node of the ith; NEAR_ANY: there is none. */
int near_nth(uint64_t nodes, unsigned int i);

/*
 * Nodes by their position among those that are allowed, and back; where
 * fewer are allowed positions wrap around.  Others have no position.
 */
uint64_t near_positions(uint64_t nodes, uint64_t allowed);
uint64_t near_nodes(uint64_t positions, uint64_t allowed);

#endif
