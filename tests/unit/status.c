/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a job stands, from the records that children of jobcrd leave. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operation/parts.h"
#include "tests/lib/tap.h"
#include "util/clock.h"
#include "wire/record.h"

static char dir[] = "/tmp/jobcr-status.XXXXXX";
static const struct control_info info = { .job_id = "5" };

static void put(const char *name, void *record, size_t size)
{
	struct err err = { 0 };

	if (record_write(dir, "5", name, record, size, &err) < 0)
		diag("%s", err.text);
}

static void test_doing(const struct conf *conf)
{
	struct record_doing doing = {
		.pid = getpid(),
		.since_ns = clock_monotonic_ns() - 3 * NSEC_PER_SEC,
		.what = "checkpoint",
		.cause = "interval",
		.phase = "pages",
		.expected_ns = 60 * NSEC_PER_SEC,
	};
	struct job_facts f;
	pid_t pid;

	status_read(conf, &info, &f);
	ok(!f.facts.doing && !f.facts.has_newest && !f.facts.failed &&
		   !f.facts.warning && !f.facts.has_next_at_ns,
	   "without records nothing is known");
	put(RECORD_DOING, &doing, sizeof(doing));
	status_read(conf, &info, &f);
	ok(f.facts.doing && !strcmp(f.facts.doing, "checkpoint") &&
		   !strcmp(f.facts.cause, "interval") &&
		   !strcmp(f.facts.phase, "pages"),
	   "what is done, why, and how far it is");
	ok(f.facts.elapsed_ns >= 3 * NSEC_PER_SEC &&
		   f.facts.expected_ns == 60 * NSEC_PER_SEC,
	   "since when, and how long the last one took");
	pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	doing.pid = pid;
	put(RECORD_DOING, &doing, sizeof(doing));
	status_read(conf, &info, &f);
	ok(!f.facts.doing, "whoever was killed does nothing any more");
}

static void test_last(const struct conf *conf)
{
	struct record_last last = {
		.generation = 4,
		.cause = "preempt",
		.at_ns = 1000,
		.frozen_ns = 7,
		.total_ns = 9,
		.page_bytes = 11,
		.failed_ns = 900,
		.text = "long ago",
	};
	struct job_facts f;

	put(RECORD_LAST, &last, sizeof(last));
	status_read(conf, &info, &f);
	ok(f.facts.newest == 4 && f.facts.newest_at_ns == 1000 &&
		   !strcmp(f.facts.newest_cause, "preempt") &&
		   f.facts.frozen_ns == 7 && f.facts.total_ns == 9 &&
		   f.facts.page_bytes == 11,
	   "the newest snapshot and its cost");
	ok(!f.facts.failed, "a failure before it is past");
	last.failed_ns = 1001;
	memset(last.text, 'x', sizeof(last.text));
	put(RECORD_LAST, &last, sizeof(last));
	status_read(conf, &info, &f);
	ok(f.facts.failed && f.facts.failed_at_ns == 1001 &&
		   strlen(f.facts.failed) < sizeof(last.text),
	   "a later one is told, whatever its text is");
}

static void test_plan(const struct conf *conf)
{
	struct record_plan plan = {
		.interval_s = 600,
		.next_ns = 5000,
		.needed_s = 41,
		.window_s = 30,
		.text = "needs 41 s, window is 30 s",
	};
	struct job_facts f;

	put(RECORD_PLAN, &plan, sizeof(plan));
	status_read(conf, &info, &f);
	ok(f.facts.interval_s == 600 && f.facts.next_at_ns == 5000 &&
		   f.facts.needed_s == 41 && f.facts.window_s == 30 &&
		   !f.facts.has_limit_at_ns,
	   "what is planned");
	ok(f.facts.warning &&
		   !strcmp(f.facts.warning, "needs 41 s, window is 30 s"),
	   "and a warning");
}

static void test_plan_extremes(const struct conf *conf)
{
	struct record_plan most, back, none = { 0 };
	struct job_facts f;
	struct err err = { 0 };

	memset(&most, 0xff, sizeof(most));
	put(RECORD_PLAN, &most, sizeof(most));
	ok(record_read(dir, "5", RECORD_PLAN, &back, sizeof(back), &err) == 0 &&
		   !memcmp(&back, &most, sizeof(most)),
	   "the largest plan is read as it was written: %s", err.text);
	status_read(conf, &info, &f);
	ok(f.facts.interval_s == UINT32_MAX &&
		   f.facts.next_at_ns == UINT64_MAX &&
		   f.facts.needed_s == UINT32_MAX &&
		   f.facts.window_s == PLAN_NEVER &&
		   f.facts.limit_at_ns == UINT64_MAX,
	   "and told so, a job that nothing preempts too");
	ok(f.facts.warning && strlen(f.facts.warning) == sizeof(most.text) - 1,
	   "a text without an end has one: %zu", strlen(f.facts.warning));
	put(RECORD_PLAN, &none, sizeof(none));
	status_read(conf, &info, &f);
	ok(!f.facts.has_interval_s && !f.facts.has_next_at_ns &&
		   !f.facts.has_needed_s && !f.facts.has_window_s &&
		   !f.facts.has_limit_at_ns && !f.facts.warning,
	   "a plan of nothing tells nothing");
	put(RECORD_PLAN, &none, sizeof(none) - 1);
	ok(record_read(dir, "5", RECORD_PLAN, &back, sizeof(back), &err) ==
		   -ENOENT,
	   "one of another jobcr is none: %s", err.text);
}

int main(void)
{
	struct conf conf = { .run_dir = dir };
	char path[128];

	if (!mkdtemp(dir))
		return 99;
	snprintf(path, sizeof(path), "%s/jobs", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/jobs/5", dir);
	mkdir(path, 0700);
	test_doing(&conf);
	test_last(&conf);
	test_plan(&conf);
	test_plan_extremes(&conf);
	record_remove_all(dir, "5");
	ok(rmdir(path) == 0, "all records of a job can be removed");
	snprintf(path, sizeof(path), "%s/jobs", dir);
	(void)rmdir(path);
	(void)rmdir(dir);
	return done_testing();
}
