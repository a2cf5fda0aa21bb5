/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in the way at every look for a while stays; all else may pass. */
#include <string.h>
#include <time.h>

#include "engine/preflight.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define WHILE    (600 * (NSEC_PER_SEC / 1000))
#define PATIENCE (10 * NSEC_PER_SEC)

/* One finding per look; which one it is says n. */
typedef void (*find_fn)(struct refusals *no, unsigned int n);

static void find_same(struct refusals *no, unsigned int n)
{
	(void)n;
	refusals_add(no, 7, "program", -1, "close it", "a thing");
}

static void find_another(struct refusals *no, unsigned int n)
{
	refusals_add(no, 7, "program", -1, "close it", "thing %u", n);
}

static void find_of_another(struct refusals *no, unsigned int n)
{
	refusals_add(no, (pid_t)(7 + n % 2), "program", -1, "close it",
		     "a thing");
}

static void find_moment(struct refusals *no, unsigned int n)
{
	find_same(no, n);
	refusals_passes(no);
}

static void find_sometimes(struct refusals *no, unsigned int n)
{
	find_another(no, n);
	if (n % 5)
		find_same(no, n);
}

/* Does it end in that time? */
static bool ends(find_fn find, uint64_t within)
{
	const uint64_t begin = clock_monotonic_ns();
	const struct timespec nap = { .tv_nsec = 10000000 };
	const struct collection none = { 0 };
	struct patience p = { 0 };
	bool over = false;

	for (unsigned int n = 0; !over && clock_monotonic_ns() - begin < within;
	     n++) {
		struct refusals no = { 0 };

		find(&no, n);
		patience_look(&p, &none, &no);
		over = p.over;
		refusals_done(&no);
		nanosleep(&nap, NULL);
	}
	patience_done(&p);
	return over;
}

int main(void)
{
	ok(ends(find_same, PATIENCE), "what stays is told");
	ok(!ends(find_another, WHILE), "always another thing: it may pass");
	ok(!ends(find_of_another, WHILE),
	   "another process each time: it may pass");
	ok(!ends(find_moment, WHILE), "a moment by its nature: it may pass");
	ok(!ends(find_sometimes, WHILE), "not there at one look: it may pass");
	return done_testing();
}
