// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "model/object.h"
#include "model/refusal.h"
#include "tests/lib/tap.h"

static void test_objects(void)
{
	struct object_table *t = NULL;
	struct err err = { 0 };
	uint32_t first = 0, again = 0, n = 0;
	bool is_new = false, all = true;

	ok(object_table_new(&t, &err) == 0, "a table is made");
	(void)object_get(t, OBJECT_PIPE, 7, 0, 0, &first, &is_new, &err);
	ok(first > 0 && is_new, "an object's first number is > 0 and new");
	(void)object_get(t, OBJECT_PIPE, 7, 0, 0, &again, &is_new, &err);
	ok(again == first && !is_new, "the same object keeps its number");
	(void)object_get(t, OBJECT_SHMEM, 7, 0, 0, &n, &is_new, &err);
	ok(n != first && is_new, "another kind is another object");
	ok(object_find(t, OBJECT_PIPE, 8, 0, 0) == 0, "unknown objects are 0");

	for (uint64_t i = 0; i < 5000; i++)
		all &= !object_get(t, OBJECT_GHOST, i, i / 7, i % 3, &n,
				   &is_new, &err) &&
		       is_new;
	for (uint64_t i = 0; i < 5000; i++)
		all &= object_find(t, OBJECT_GHOST, i, i / 7, i % 3) == 3 + i;
	ok(all, "thousands of objects keep their numbers as the table grows");
	object_table_free(t);
	object_table_free(NULL);
}

static void test_refusals(void)
{
	struct refusals no = { 0 };

	refusals_add(&no, 42, "a\nb", 3, "close it", "socket %d", 5);
	ok(no.count == 1 && no.list[0].pid == 42 && no.list[0].fd == 3 &&
		   strcmp(no.list[0].what, "socket 5") == 0,
	   "a refusal keeps pid, fd and what");
	ok(strcmp(no.list[0].comm, "a?b") == 0,
	   "a name cannot break the lines of a listing");
	for (int i = 0; i < REFUSALS_MAX + 10; i++)
		refusals_add(&no, i, NULL, -1, NULL, "x");
	ok(no.count == REFUSALS_MAX && no.total == REFUSALS_MAX + 11,
	   "all findings are counted, the first %d kept", REFUSALS_MAX);
	refusals_done(&no);
	ok(!no.list && !no.count, "nothing is left of them");
}

int main(void)
{
	test_objects();
	test_refusals();
	return done_testing();
}
