/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines that are described: what is near what, and who goes where. */
#include "util/near.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/residence.h"
#include "tests/lib/tap.h"

#define TWO   "numa:2 core:4 pu:1"
#define EIGHT "numa:8 core:2 pu:2"
#define ONE   "numa:1 core:4 pu:1"

static void test_described(void)
{
	struct near *two = near_described(TWO);
	struct near *eight = near_described(EIGHT);
	const uint8_t low[] = { 0x03 }, high[] = { 0x40 }, both[] = { 0x18 },
		      none[] = { 0 }, far[] = { 0, 0, 0x10 };

	ok(near_memories(two) == 3 && near_memories(eight) == 0xff,
	   "nodes with memory are known");
	ok(near_cpus(two, low, 1) == 1 && near_cpus(two, high, 1) == 2 &&
		   near_cpus(two, both, 1) == 3,
	   "and which of them CPUs are near");
	ok(near_cpus(eight, far, 3) == 1 << 5 && near_cpus(two, far, 3) == 0,
	   "CPUs that are not there are near nothing");
	ok(near_cpus(two, none, 1) == 0, "nor are none");
	near_free(two);
	near_free(eight);
}

/* Nothing is done there, and nothing breaks. */
static void test_one(void)
{
	struct near *one = near_described(ONE);
	const uint8_t cpus[] = { 0xff };
	char word[8] = "as is";

	ok(!one && !near_described("nonsense"),
	   "one memory is nothing to be near to");
	near_run(one, 0);
	near_put(one, word, sizeof(word), 0);
	near_prefer(one, 3);
	ok(near_memories(one) == 0 && near_cpus(one, cpus, 1) == 0 &&
		   strcmp(word, "as is") == 0,
	   "and it takes everything");
	near_free(one);
}

static void test_spread(void)
{
	ok(near_nth(0, 0) == NEAR_ANY && near_nth(0, 7) == NEAR_ANY,
	   "there is no ith node of none");
	ok(near_nth(0x11, 0) == 0 && near_nth(0x11, 1) == 4 &&
		   near_nth(0x11, 2) == 0 && near_nth(1ull << 63, 5) == 63,
	   "things are spread over nodes in turns");
}

static void test_positions(void)
{
	ok(near_positions(0x30, 0xf0) == 3 && near_positions(0x8, 0x8) == 1,
	   "positions are those among the allowed");
	ok(near_positions(0x6, 0x4) == 1 && near_positions(0x1, 0x4) == 0,
	   "and others have none");
	ok(near_nodes(3, 0xf0) == 0x30 &&
		   near_nodes(1, 1ull << 63) == 1ull << 63,
	   "nodes are found by their positions");
	ok(near_nodes(1 << 5, 0xc) == 0x8 && near_nodes(UINT64_MAX, 4) == 4,
	   "which wrap around where there are fewer");
	ok(near_nodes(3, 0) == 0 && near_nodes(0, 3) == 0 &&
		   near_positions(3, 0) == 0,
	   "none are none");
	for (uint64_t n = 1; n; n <<= 1)
		if (near_nodes(near_positions(n, UINT64_MAX), UINT64_MAX) != n)
			ok(0, "node %#llx is lost", (unsigned long long)n);
}

static void test_residence(void)
{
	const size_t len = 64 * 4096;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before, after;

	ok(p != MAP_FAILED, "memory");
	before = residence_of(0, (uint64_t)p, 64);
	memset(p, 1, len);
	after = residence_of(0, (uint64_t)p, 64);
	if (!after) {
		skip("this kernel does not tell where pages are");
	} else {
		ok(!before, "what nobody has touched is nowhere");
		ok(residence_of(getpid(), (uint64_t)p, 64) == after,
		   "pages are found by a pid, too");
	}
	ok(residence_of(0, (uint64_t)p, 0) == 0 && residence_of(-1, 0, 9) == 0,
	   "no pages, no process: it is not told");
	(void)munmap(p, len);
}

int main(void)
{
	test_described();
	test_one();
	test_spread();
	test_positions();
	test_residence();
	return done_testing();
}
