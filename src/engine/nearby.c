/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/nearby.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "kernel/residence.h"
#include "util/cleanup.h"

#define CPU_BYTES 1024

static uint64_t read_allowed(pid_t pid)
{
	auto_close int proc_fd = -EBADF;
	struct err ignored;

	return proc_open(pid, 0, &proc_fd, &ignored) == 0
		       ? residence_allowed(proc_fd)
		       : 0;
}

static void find_homes(struct nearby *n, pid_t pid)
{
	uint8_t cpus[CPU_BYTES] = { 0 };

	n->near = near_new();
	if (!n->near)
		return;
	n->allowed = read_allowed(pid) & near_memories(n->near);
	if (syscall(SYS_sched_getaffinity, pid, sizeof(cpus), cpus) > 0)
		n->home = near_cpus(n->near, cpus, sizeof(cpus)) & n->allowed;
	if (!n->home)
		n->home = n->allowed;
	if (n->home)
		return;
	near_free(n->near);
	n->near = NULL;
}

void nearby_begin(struct nearby *ret, pid_t pid)
{
	*ret = (struct nearby){ 0 };
	cpu_order_read(&ret->order);
	find_homes(ret, pid);
}

void nearby_end(struct nearby *n)
{
	residents_free(n->pinned);
	near_free(n->near);
	free(n->order.v);
	*n = (struct nearby){ 0 };
}

static int put_buffer(void *arg, unsigned int index, void *data, size_t len)
{
	const struct nearby *n = arg;
	int node = near_nth(n->home, index);

	near_put(n->near, data, len, node);
	return node;
}

const struct ring_homes *nearby_homes(struct nearby *n, struct ring_homes *ret)
{
	*ret = (struct ring_homes){ put_buffer, n };
	return n->home ? ret : NULL;
}

uint64_t nearby_positions(const struct nearby *n, pid_t pid, uint64_t address,
			  size_t pages)
{
	return n->near ? near_positions(residence_of(pid, address, pages),
					n->allowed)
		       : 0;
}

uint64_t nearby_file_positions(const struct nearby *n, int fd, uint64_t offset,
			       size_t pages)
{
	return n->near ? near_positions(residence_of_file(fd, offset, pages),
					n->allowed)
		       : 0;
}

int nearby_node(const struct nearby *n, pid_t pid, uint64_t address)
{
	return n->near ? near_nth(residence_of(pid, address, 1), 0) : NEAR_ANY;
}

void nearby_note(struct nearby *n, const struct search *search)
{
	if (n->near)
		n->pinned = residents_note(search);
}

uint64_t nearby_noted(const struct nearby *n, pid_t pid, uint64_t address)
{
	return near_positions(residents_of(n->pinned, pid, address),
			      n->allowed);
}

uint64_t nearby_wanted(const struct nearby *n, uint64_t positions)
{
	const uint64_t nodes = near_nodes(positions, n->allowed);

	return nodes ? nodes : n->home;
}
