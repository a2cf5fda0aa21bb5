/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that was bound to the nth CPU of its allocation is bound to the nth
 * of the new one, as CPUs follow each other in the machines: described ones.
 */
#include "src/resource/sched.c"
#include "tests/lib/tap.h"

/* Threads of a core lie far from each other by number, or side by side. */
#define FAR  "package:1 core:2 pu:2(indexes=0,2,1,3)"
#define NEAR "package:1 core:2 pu:2"
/* Every other CPU is in the other socket. */
#define SOCKETS "package:2 core:2 pu:1(indexes=0,2,1,3)"

#define NODE_CPUS 4u

static void describe(const char *machine, struct cpu_order *ret)
{
	cpu_order_described(machine, ret);
}

/* As sched_dump does, of a job that had these. */
static void save(SchedRecord *rec, struct cpus *cpus, uint8_t *affinity,
		 uint8_t *allowed, const char *machine)
{
	struct cpu_order order;

	describe(machine, &order);
	sched_record__init(rec);
	rec->affinity.data = affinity;
	rec->affinity.len = 1;
	rec->allowed.data = allowed;
	rec->allowed.len = 1;
	if (order.count) {
		take_cpus(cpus, allowed, 1, &order);
		rec->order = cpus->v;
		rec->n_order = cpus->count;
	}
	free(order.v);
}

static uint8_t moved(uint8_t affinity, uint8_t allowed, const char *from,
		     uint8_t here, const char *to)
{
	static struct cpus cpus, old, now;
	static uint8_t ret[CPU_BYTES];
	struct cpu_order order;
	SchedRecord rec;

	save(&rec, &cpus, &affinity, &allowed, from);
	describe(to, &order);
	take_cpus(&now, &here, 1, &order);
	free(order.v);
	if (!take_old(&old, &rec))
		return 0xff;
	map_affinity(&rec, &old, &now, ret);
	return ret[0];
}

static void test_order(void)
{
	struct cpu_order far, near;

	describe(FAR, &far);
	describe(NEAR, &near);
	ok(far.count == NODE_CPUS && far.v[1] == 2 && far.v[2] == 1,
	   "threads of a core follow each other");
	ok(!near.count, "where they do so by number nothing has to be said");
	free(far.v);
	free(near.v);
	describe("nonsense", &near);
	ok(!near.count, "nor of what cannot be told");
}

static void test_moves(void)
{
	ok(moved(1 << 1, 0xf, FAR, 0xf, NEAR) == 1 << 2 &&
		   moved(1 << 2, 0xf, FAR, 0xf, NEAR) == 1 << 1,
	   "a second core is a second core, a second thread a second thread");
	ok(moved(1 << 2, 0xf, NEAR, 0xf, FAR) == 1 << 1, "and back");
	ok(moved(0x5, 0xf, FAR, 0xf, NEAR) == 0x3, "who had a core has one");
	ok(moved(0x5, 0xf, SOCKETS, 0xf, NEAR) == 0x3,
	   "who had a socket has what is side by side");
	ok(moved(1 << 3, 0xa, FAR, 0x5, FAR) == 1 << 2,
	   "of an allocation of one core only its threads count");
	ok(moved(1 << 3, 0xf, FAR, 0x3, NEAR) == 1 << 1,
	   "positions wrap around in a smaller one");
	ok(moved(0xf, 0xf, FAR, 0x30, NEAR) == 0x30, "who had all has all");
	ok(moved(1 << 2, 0x6, NEAR, 0x6, NEAR) == 1 << 2,
	   "and nothing moves where nothing is different");
}

static bool is_taken(uint32_t *order, size_t count)
{
	static struct cpus old;
	uint8_t allowed = 0x7;
	SchedRecord rec = SCHED_RECORD__INIT;

	rec.affinity.data = rec.allowed.data = &allowed;
	rec.affinity.len = rec.allowed.len = 1;
	rec.order = order;
	rec.n_order = count;
	return take_old(&old, &rec);
}

static void test_edited(void)
{
	uint32_t good[] = { 2, 0, 1 }, twice[] = { 2, 0, 2 },
		 other[] = { 2, 0, 3 }, beyond[] = { 2, 0, UINT32_MAX };
	uint32_t many[CPU_BYTES * 8 + 1] = { 2, 0, 1 };

	ok(is_taken(good, 3) && is_taken(NULL, 0), "an order, or none");
	ok(!is_taken(good, 2), "not all of the allocation");
	ok(!is_taken(twice, 3), "one of them twice");
	ok(!is_taken(other, 3) && !is_taken(beyond, 3), "one that it had not");
	ok(!is_taken(many, sizeof(many) / sizeof(*many)),
	   "more than there are");
}

int main(void)
{
	test_order();
	test_moves();
	test_edited();
	return done_testing();
}
