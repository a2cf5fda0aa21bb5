/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_CPU_ORDER_H
#define JOBCR_UTIL_CPU_ORDER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The numbers of a machine's CPUs in the order in which they are built: those
 * of a core one after the other, then the next core's, socket by socket.  By
 * number the second threads of all cores often come after all first ones.
 * Owned by the caller: free v.  count 0: that is their order by number, or
 * nothing can be told.
 */
struct cpu_order {
	uint32_t *v;
	size_t count;
};

/*
 * Takes milliseconds where cores have several threads or the machine has
 * several memories, and sets a variable of the environment: before there are
 * threads.
 */
void cpu_order_read(struct cpu_order *ret);

/* Of a machine that is described: see hwloc(7). */
void cpu_order_described(const char *description, struct cpu_order *ret);

#endif
