/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_NEARBY_H
#define JOBCR_ENGINE_NEARBY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/residents.h"
#include "storage/ring.h"
#include "util/cpu_order.h"
#include "util/near.h"

/*
 * On a machine with several memories: where threads, buffers and pages of one
 * job are to be.  Where there is one memory all of it is 0, and nothing is
 * done.
 */
struct nearby {
	struct near *near;
	uint64_t allowed;         /* to the job: positions are among these */
	uint64_t home;            /* those of them that its CPUs are near */
	struct residents *pinned; /* NULL: nothing is noted */
	struct cpu_order order;
};

/* pid: may use what its job may.  Single-threaded, and before a stop. */
void nearby_begin(struct nearby *ret, pid_t pid);
void nearby_end(struct nearby *n);

/* For the writer; NULL, if buffers are to be anywhere. */
const struct ring_homes *nearby_homes(struct nearby *n, struct ring_homes *ret);

/* A run of pages of a process lies there: positions, for the image. */
uint64_t nearby_positions(const struct nearby *n, pid_t pid, uint64_t address,
			  size_t pages);

uint64_t nearby_file_positions(const struct nearby *n, int fd, uint64_t offset,
			       size_t pages);

/* Of what is pinned, and may be dead: once all stand still; and then. */
void nearby_note(struct nearby *n, const struct search *search);
uint64_t nearby_noted(const struct nearby *n, pid_t pid, uint64_t address);

/* One node, of one page; NEAR_ANY: not known. */
int nearby_node(const struct nearby *n, pid_t pid, uint64_t address);

/*
 * What an image says of a run of pages, as nodes; where it says nothing, those
 * that are near the job's CPUs.
 */
uint64_t nearby_wanted(const struct nearby *n, uint64_t positions);

#endif
