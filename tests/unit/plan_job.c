/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/plan.h"
#include "tests/lib/tap.h"
#include "util/clock.h"
#include "wire/job_options.h"

#define S   NSEC_PER_SEC
#define GIB (1ull << 30)

/* Everything before this is long over. */
#define NOW (1000000 * S)

static struct control_info info;
static struct conf conf;

/* A job that was measured a moment ago, and a node that writes 100 MiB/s. */
static struct plan_facts facts(uint64_t tree_bytes)
{
	struct plan_facts f = { .info = &info };

	f.plan.since_mono = NOW - 1000 * S;
	f.plan.look_mono = NOW - S;
	f.plan.tree_bytes = tree_bytes;
	f.rate.samples = 1;
	f.rate.bytes_per_s = 100 << 20;
	f.rate.fixed_ns = S;
	f.limits.window_s = 30;
	return f;
}

static void begin(void)
{
	memset(&info, 0, sizeof(info));
	memset(&conf, 0, sizeof(conf));
	strcpy(info.job_id, "77");
	info.slurm = 77;
	info.init_pid = getpid();
	conf.mtbf_s = 30 * 86400;
	conf.pause = CONF_PAUSE_STOP;
	conf.window_interval_s = JOB_INTERVAL_AUTO;
}

static void test_window(void)
{
	struct plan_facts f = facts(GIB);

	begin();
	plan_make(&conf, &f, NOW);
	ok(f.plan.needed_s == 12 && f.plan.window_s == 30 && !*f.plan.text &&
		   !f.plan.interval_s && !plan_due(&f),
	   "a snapshot that fits into the window: nothing is done");
	f = facts(4 * GIB);
	plan_make(&conf, &f, NOW);
	ok(f.plan.needed_s == 42 &&
		   strstr(f.plan.text, "needs 42 s, window is 30 s"),
	   "one that does not: %s", f.plan.text);
	ok(f.plan.source == PLAN_WINDOW && f.plan.automatic &&
		   f.plan.interval_s > 2000 && f.plan.interval_s < 3600 &&
		   plan_due(&f),
	   "a recent one is kept, every %u s", f.plan.interval_s);
	conf.window_interval_s = 0;
	plan_make(&conf, &f, NOW);
	ok(!f.plan.interval_s && !plan_due(&f) && !f.plan.next_ns &&
		   strstr(f.plan.text, "may lose"),
	   "unless the site does not want it: %s", f.plan.text);
	f.limits.window_s = PLAN_NEVER;
	plan_make(&conf, &f, NOW);
	ok(!*f.plan.text, "a job that nothing preempts needs no window");
	f.limits.window_s = 0;
	plan_make(&conf, &f, NOW);
	ok(!*f.plan.text, "nor one of which nothing is known");
}

/* The last one took 1 s for 100 MiB, and had 3 GiB from older ones. */
static void test_borrowed(void)
{
	struct plan_facts f = facts(4 * GIB);

	begin();
	f.last.generation = 3;
	f.last.tree_bytes = 4 * GIB;
	f.last.page_bytes = 100 << 20;
	f.last.pages_ns = f.last.total_ns = S;
	f.last.borrowed_bytes = 3 * GIB;
	plan_make(&conf, &f, NOW);
	ok(f.plan.needed_s == 32 && f.plan.bytes == 100 << 20,
	   "one that ends the job reads what others have: %u s",
	   f.plan.needed_s);
}

static void test_source(void)
{
	struct plan_facts f = facts(4 * GIB);

	begin();
	conf.snapshot_interval_s = 1800;
	plan_make(&conf, &f, NOW);
	ok(f.plan.source == PLAN_SITE && f.plan.interval_s == 1800,
	   "the site's interval");
	info.options.interval_s = 600;
	plan_make(&conf, &f, NOW);
	ok(f.plan.source == PLAN_USER && f.plan.interval_s == 600,
	   "the job's own goes before it");
	ok(plan_due(&f) >= f.plan.since_mono + 300 * S &&
		   plan_due(&f) < f.plan.since_mono + 600 * S,
	   "the first is due in its second half");
	info.options.interval_s = 0;
	info.slurm = 0;
	f.limits.window_s = 0;
	plan_make(&conf, &f, NOW);
	ok(f.plan.source == PLAN_NONE, "the site's is for Slurm's jobs");
}

static void test_turns(void)
{
	struct plan_facts f = facts(GIB);

	begin();
	info.options.interval_s = 60;
	f.turn = (struct record_turn){ .number = 1,
				       .due_mono = NOW - 50 * S,
				       .ended_mono = NOW - 49 * S };
	plan_make(&conf, &f, NOW);
	ok(plan_due(&f) == NOW + 10 * S, "it goes on in its rhythm");
	f.last.generation = 2;
	f.last.at_mono = NOW - 5 * S;
	ok(plan_due(&f) == NOW + 55 * S, "a snapshot on request counts");
	f.last.at_mono = 0;
	f.turn.result = -5;
	f.turn.failures = 3;
	strcpy(f.last.text, "the store is away");
	plan_make(&conf, &f, NOW);
	ok(plan_due(&f) == NOW + 191 * S, "failures: it waits longer");
	ok(strstr(f.plan.text, "3 periodic snapshots failed: the store"),
	   "and says so: %s", f.plan.text);
}

static void test_clock(void)
{
	struct plan_facts f = facts(GIB);
	uint64_t due;

	begin();
	info.options.interval_s = 60;
	f.plan.since_mono = NOW + 5 * S;
	plan_make(&conf, &f, NOW);
	due = plan_due(&f);
	ok(f.plan.since_mono == NOW && due > NOW && due < NOW + 60 * S,
	   "a record of before a reboot is none");
	ok(f.plan.next_ns > clock_ns(CLOCK_REALTIME) &&
		   f.plan.next_ns < clock_ns(CLOCK_REALTIME) + 61 * S,
	   "people are told by the clock");
}

static void test_limit(void)
{
	struct plan_facts f = facts(GIB);

	begin();
	f.limits.end_mono = NOW + 1000 * S;
	f.limits.limit_s = 3600;
	ok(plan_limit_due(&f) == 0, "a time limit is left alone");
	info.options.timelimit_s = 300;
	ok(plan_limit_due(&f) == NOW + 700 * S,
	   "--jobcr-timelimit: so long before it");
	f.limit_turn = (struct record_turn){ .number = 1,
					     .result = -5,
					     .ended_mono = NOW + 800 * S };
	ok(plan_limit_due(&f) == NOW + 810 * S, "a failure: again, soon");
	f.limit_turn.result = 0;
	ok(plan_limit_due(&f) == 0, "saved, and not requeued: once");
	memset(&f.limit_turn, 0, sizeof(f.limit_turn));
	info.options.timelimit_s = 3000;
	plan_make(&conf, &f, NOW);
	ok(plan_limit_due(&f) == NOW - 800 * S &&
		   strstr(f.plan.text, "more than half"),
	   "a job has half of its time: %s", f.plan.text);
	f.limits.end_mono = 0;
	ok(plan_limit_due(&f) == 0, "no limit, no end");
}

int main(void)
{
	test_window();
	test_borrowed();
	test_source();
	test_turns();
	test_clock();
	test_limit();
	return done_testing();
}
