/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "daemon/due.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define S   NSEC_PER_SEC
#define MIB (1ull << 20)
#define DAY 86400u

static void test_optimum(void)
{
	uint32_t a = due_optimum(10 * S, 10 * S, 30 * DAY);

	/* sqrt(2 * 10 * 2592000) = 7200, and Daly's terms */
	ok(a >= 7190 && a <= 7210, "10 s, a month: two hours (%u s)", a);
	ok(due_optimum(40 * S, 40 * S, 30 * DAY) / 2 >= a - 60,
	   "four times the cost, twice the interval");
	ok(due_optimum(1000000, S, DAY) == 60, "never below a minute");
	ok(due_optimum(1000000, 30 * S, DAY) == 300,
	   "nor below ten times what a checkpoint takes");
	ok(due_optimum(S, S, UINT32_MAX) <= DAY, "at most a day");
	ok(due_optimum(1000 * S, 0, 400) == 400,
	   "a cost beyond twice the mtbf: the mtbf");
	ok(due_optimum(UINT64_MAX, UINT64_MAX, 1) == DAY &&
		   due_optimum(0, 0, UINT32_MAX) == 60,
	   "whatever was measured");
}

static void test_stagger(void)
{
	unsigned int hits[10] = { 0 }, i, least = 1000;
	uint64_t since = 1000 * S, a, b;
	char id[16];

	for (i = 1; i <= 1000; i++) {
		snprintf(id, sizeof(id), "%u", i);
		a = due_first(since, 100, id);
		if (a < since + 50 * S || a >= since + 100 * S)
			break;
		hits[(a - since - 50 * S) / (5 * S)]++;
	}
	ok(i == 1001, "the first is due in the second half of an interval");
	for (i = 0; i < 10; i++)
		least = hits[i] < least ? hits[i] : least;
	ok(least > 50, "jobs with numbers in a row are spread evenly");
	a = due_first(since, 100, "77");
	b = due_first(since, 100, "77");
	ok(a == b, "a job's own place stays its own");
	ok(due_first(since, 1, "77") >= since + S / 2, "an interval of 1 s");
	ok(due_first(0, UINT32_MAX - 1, "77") > S, "and the longest one");
}

static void test_rhythm(void)
{
	ok(due_next(100 * S, 103 * S, 60) == 160 * S,
	   "the next one is an interval after the last was due");
	ok(due_next(100 * S, 150 * S, 60) == 180 * S,
	   "one that took long is given half an interval");
	ok(due_next(100 * S, 900 * S, 60) == 930 * S,
	   "those that were missed are not made up for");
	ok(due_again(100 * S, 60, 1) == 160 * S &&
		   due_again(100 * S, 60, 2) == 220 * S &&
		   due_again(100 * S, 60, 4) == 580 * S &&
		   due_again(100 * S, 60, 400) == 580 * S,
	   "after failures it is left in peace for longer and longer");
	ok(due_again(0, 1800, 9) == 3600 * S, "up to an hour");
	ok(due_again(0, 7200, 9) == 7200 * S, "or its interval");
}

static void test_limit(void)
{
	ok(due_before_limit(10000 * S, 3600, 300) == 9700 * S,
	   "five minutes before the limit");
	ok(due_before_limit(10000 * S, 60, 300) == 9970 * S,
	   "but a job has half of its time");
	ok(due_before_limit(5 * S, 3600, 300) == 0, "it may be over already");
}

static void test_duration(void)
{
	struct record_last last = { 0 };
	struct record_rate rate = { 0 };

	ok(due_duration(&last, &rate, 100 * MIB) == 0,
	   "nothing measured, nothing said");
	rate.samples = 1;
	rate.bytes_per_s = 100 * MIB;
	rate.fixed_ns = S;
	ok(due_duration(&last, &rate, 400 * MIB) == 5 * S,
	   "from what the node has managed");
	last.generation = 3;
	last.page_bytes = 200 * MIB;
	last.pages_ns = 1 * S;
	last.total_ns = 3 * S;
	last.tree_bytes = 300 * MIB;
	ok(due_duration(&last, &rate, 400 * MIB) == 4 * S,
	   "better: from what this job took");
	ok(due_bytes(&last, 300 * MIB) == 200 * MIB,
	   "a job as large as before has as many pages");
	ok(due_bytes(&last, 500 * MIB) == 400 * MIB,
	   "one that has grown, more");
	ok(due_bytes(&last, 100 * MIB) == 200 * MIB,
	   "one that has shrunk may grow again");
	memset(&last, 0, sizeof(last));
	ok(due_bytes(&last, 123) == 123, "never saved: all that it has");
	last.generation = 1;
	last.page_bytes = MIB;
	last.pages_ns = 1;
	last.total_ns = S;
	rate.samples = 0;
	ok(due_duration(&last, &rate, MIB) == 2 * S,
	   "a small snapshot does not tell a rate");
	ok(due_duration(&last, &rate, 1000 * MIB) == 0,
	   "of a job that has become large");
}

static void test_pinned(void)
{
	struct record_last last = { 0 };
	struct record_rate rate = { 0 };

	ok(due_until_pinned(&last, &rate, 1) == 0,
	   "nothing measured, nothing said of pinned memory, too");
	rate.samples = 1;
	rate.bytes_per_s = 1;
	rate.fixed_ns = 2 * S;
	ok(due_until_pinned(&last, &rate, 5000 * MIB) == 3 * S,
	   "pinned, the rate of writing does not matter");
	last.generation = 1;
	last.total_ns = 100 * S;
	last.pages_ns = 99 * S;
	ok(due_until_pinned(&last, &rate, 0) == S, "the job's own tells more");
}

int main(void)
{
	test_pinned();
	test_optimum();
	test_stagger();
	test_rhythm();
	test_limit();
	test_duration();
	return done_testing();
}
