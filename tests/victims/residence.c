/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages come back to the memories (NUMA nodes) that they were in: those of
 * whoever touched them first, without any policy that would say so.
 */
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define BYTES (8ul << 20)
#define PAGES (BYTES / PAGE)

static int near_cpu[2] = { -1, -1 }, nodes[2];

enum area { FIRST, SECOND, HALVES, TURNS, SHARED, LITTLE, AREAS };
static const char *const names[] = {
	"memory of the first node", "memory of the second", "memory of both",
	"memory in turns",          "shared memory",        "single pages",
};
static char *areas[AREAS];
static int was[AREAS][PAGES], is[AREAS][PAGES];

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* A CPU each of two nodes. */
static bool find_nodes(const cpu_set_t *mine)
{
	unsigned int cpu, node;

	for (int i = 0; i < CPU_SETSIZE && near_cpu[1] < 0; i++) {
		if (!CPU_ISSET(i, mine) || !run_on(i) ||
		    syscall(SYS_getcpu, &cpu, &node, NULL) < 0)
			continue;
		if (near_cpu[0] < 0) {
			near_cpu[0] = i;
			nodes[0] = (int)node;
		} else if ((int)node != nodes[0]) {
			near_cpu[1] = i;
			nodes[1] = (int)node;
		}
	}
	return near_cpu[1] >= 0;
}

static void touch(int which, char *at, size_t len, size_t step)
{
	victim_need(run_on(near_cpu[which]), "sched_setaffinity");
	for (size_t i = 0; i < len; i += step)
		pattern_fill(at + i, PAGE, (uint64_t)(at + i) & 0xffffff000);
}

static void in_turns(char *at)
{
	unsigned long both[2] = { 1ul << nodes[0] | 1ul << nodes[1], 0 };

	victim_need(syscall(SYS_set_mempolicy, 3, both, 128) == 0,
		    "set_mempolicy");
	touch(0, at, BYTES, PAGE);
	victim_need(syscall(SYS_set_mempolicy, 0, NULL, 0) == 0,
		    "set_mempolicy");
}

static void look(char *at, int *ret)
{
	void *pages[PAGES];

	for (size_t i = 0; i < PAGES; i++)
		pages[i] = at + i * PAGE;
	victim_need(syscall(SYS_move_pages, 0, PAGES, pages, NULL, ret, 0) == 0,
		    "move_pages");
}

static size_t count(const int *list, int node)
{
	size_t n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += list[i] == node;
	return n;
}

static size_t count_moved(enum area a)
{
	size_t n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += was[a][i] != is[a][i];
	return n;
}

/*
 * At whole MiB, as newer kernels do anyway: where pages are is kept for each
 * MiB, and those of one that has two nodes' come back in turns.
 */
static char *map_aligned(int type)
{
	const uintptr_t most = (1ul << 20) - 1;
	char *room = mmap(NULL, BYTES + most, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)room + most) & ~most);

	victim_need(room != MAP_FAILED &&
			    mmap(at, BYTES, PROT_READ | PROT_WRITE,
				 type | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at,
		    "mmap");
	return at;
}

static void make(void)
{
	for (int i = 0; i < AREAS; i++) {
		areas[i] = map_aligned(i == SHARED ? MAP_SHARED : MAP_PRIVATE);
		/* A huge page is where its first page is. */
		(void)madvise(areas[i], BYTES, MADV_NOHUGEPAGE);
	}
	touch(0, areas[FIRST], BYTES, PAGE);
	touch(1, areas[SECOND], BYTES, PAGE);
	for (size_t at = 0; at < BYTES; at += 2 << 20) {
		touch(0, areas[HALVES] + at, 1 << 20, PAGE);
		touch(1, areas[HALVES] + at + (1 << 20), 1 << 20, PAGE);
	}
	in_turns(areas[TURNS]);
	touch(1, areas[SHARED], BYTES, PAGE);
	touch(1, areas[LITTLE], BYTES, 3 * PAGE);
}

static bool has_contents(enum area a)
{
	const size_t step = a == LITTLE ? 3 * PAGE : PAGE;

	for (size_t i = 0; i < BYTES; i += step)
		if (!pattern_holds(areas[a] + i, PAGE,
				   (uint64_t)(areas[a] + i) & 0xffffff000))
			return false;
	return true;
}

int main(void)
{
	cpu_set_t mine;

	victim_need(sched_getaffinity(0, sizeof(mine), &mine) == 0,
		    "sched_getaffinity");
	if (!find_nodes(&mine))
		victim_skip("its CPUs are near one memory");
	make();
	victim_need(sched_setaffinity(0, sizeof(mine), &mine) == 0,
		    "sched_setaffinity");
	for (int i = 0; i < AREAS; i++)
		look(areas[i], was[i]);
	victim_need(count(was[SECOND], nodes[1]) == PAGES &&
			    count(was[TURNS], nodes[1]) > PAGES / 3,
		    "memory of the second node");

	victim_wait();

	for (int i = 0; i < AREAS; i++) {
		victim_check(has_contents((enum area)i), "%s: contents differ",
			     names[i]);
		/* What is not mapped is not told: it has been read now. */
		look(areas[i], is[i]);
		/* In turns: not the same turns. */
		if (i != TURNS)
			victim_check(count_moved((enum area)i) == 0,
				     "%s: %zu pages of %lu are elsewhere",
				     names[i], count_moved((enum area)i),
				     PAGES);
	}
	victim_check(count(is[TURNS], nodes[1]) > PAGES / 3 &&
			     count(is[TURNS], nodes[0]) > PAGES / 3,
		     "%s: %zu pages of %lu are on the second node",
		     names[TURNS], count(is[TURNS], nodes[1]), PAGES);
	victim_verdict(true, "pages are in the memories that they were in");
}
