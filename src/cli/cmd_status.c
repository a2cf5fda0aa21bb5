/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How jobs stand with their snapshots: a table for people, JSON for others. */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/clock.h"
#include "wire/control.h"

#define WATCH_S 2
#define NEVER   UINT32_MAX
#define MIB     (1024.0 * 1024.0)
#define GIB     (1024.0 * MIB)

struct status {
	struct cli cli;
	struct json_object *jobs; /* of --json */
	uint64_t now;             /* CLOCK_REALTIME */
	bool anywhere;            /* one that is not here may be elsewhere */
	bool one;                 /* it was asked for by name */
	int status;
};

/* A duration in at most two parts: 41s, 5m, 3h20m, 2d4h. */
static const char *duration(uint64_t ns, char *ret, size_t room)
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (s < 60)
		snprintf(ret, room, "%us", (unsigned int)s);
	else if (s < 3600)
		snprintf(ret, room, "%um", (unsigned int)(s / 60));
	else if (s < 86400)
		snprintf(ret, room, "%uh%02um", (unsigned int)(s / 3600),
			 (unsigned int)(s % 3600 / 60));
	else
		snprintf(ret, room, "%ud%uh", (unsigned int)(s / 86400),
			 (unsigned int)(s % 86400 / 3600));
	return ret;
}

/* Until then, or since then; "now" for what is over, or is to come. */
static uint64_t between(uint64_t early, uint64_t late)
{
	return late > early ? late - early : 0;
}

/* The state in one word: what is done to the job says more than the job. */
static const char *state_word(const JobEntry *j)
{
	const JobFacts *f = j->facts;

	if (f && f->doing && !strcmp(f->doing, "checkpoint"))
		return "checkpointing";
	if (f && f->doing && !strcmp(f->doing, "restore"))
		return "restoring";
	if (j->state == CONTROL_RESTORING)
		return "waiting";
	return print_state(j->state);
}

static void print_doing(const JobFacts *f)
{
	char left[32];

	fputs("             ", stdout);
	print_clean(stdout, f->doing);
	if (f->cause && *f->cause) {
		fputs(" for ", stdout);
		print_clean(stdout, f->cause);
	}
	if (f->phase && *f->phase) {
		fputs(": ", stdout);
		print_clean(stdout, f->phase);
	}
	printf(", %.1f s", (double)f->elapsed_ns / 1e9);
	if (f->has_expected_ns && f->expected_ns > f->elapsed_ns)
		printf(", about %s to go",
		       duration(f->expected_ns - f->elapsed_ns, left,
				sizeof(left)));
	putchar('\n');
}

static bool too_long(const JobFacts *f)
{
	return f->has_needed_s && f->has_window_s && f->window_s != NEVER &&
	       f->needed_s > f->window_s;
}

/* Of one that is asked for by name; in the table of all a warning says so. */
static void print_window(const JobFacts *f)
{
	if (f->has_needed_s && f->has_window_s && f->window_s != NEVER &&
	    !too_long(f))
		printf("             needs %u s, window is %u s: a preemption "
		       "leaves time for a snapshot\n",
		       f->needed_s, f->window_s);
}

static void print_warnings(const JobEntry *j)
{
	const JobFacts *f = j->facts;

	if (f->warning) {
		fputs("             ! ", stdout);
		print_clean(stdout, f->warning);
		putchar('\n');
	} else if (too_long(f)) {
		printf("             ! needs %u s, window is %u s\n",
		       f->needed_s, f->window_s);
	}
	if (f->failed && !(f->warning && strstr(f->warning, f->failed))) {
		fputs("             ! last failure: ", stdout);
		print_clean(stdout, f->failed);
		putchar('\n');
	}
}

static void print_size(uint64_t bytes, char *ret, size_t room)
{
	if (bytes >= (1u << 30))
		snprintf(ret, room, "%.1f GiB", (double)bytes / GIB);
	else
		snprintf(ret, room, "%.1f MiB", (double)bytes / MIB);
}

static void print_flush(const JobFacts *f)
{
	char done[32], total[32];

	print_size(f->flush_done, done, sizeof(done));
	print_size(f->flush_total, total, sizeof(total));
	printf("             generation %u is in the fast directory, ",
	       f->flush);
	if (f->flush_total)
		printf("%s of %s are in the store\n", done, total);
	else
		puts("not in the store yet");
	if (!f->flush_failed)
		return;
	fputs("             ! it stays there for now: ", stdout);
	print_clean(stdout, f->flush_failed);
	putchar('\n');
}

static void print_row(const struct status *s, const JobEntry *j)
{
	const JobFacts *f = j->facts;
	char user[64], newest[16] = "-", age[32] = "-", size[32] = "-";
	char cost[48] = "-", next[32] = "-";

	print_user_name(j->uid, user, sizeof(user));
	if (f && f->has_newest) {
		snprintf(newest, sizeof(newest), "%u", f->newest);
		duration(between(f->newest_at_ns, s->now), age, sizeof(age));
	}
	if (f && f->has_total_ns) {
		print_size(f->page_bytes, size, sizeof(size));
		snprintf(cost, sizeof(cost), "%.2f/%.2fs",
			 (double)f->frozen_ns / 1e9, (double)f->total_ns / 1e9);
	}
	if (f && f->has_next_at_ns)
		duration(between(s->now, f->next_at_ns), next, sizeof(next));
	printf("%-12s %-10.10s %-13s %8s %7s %10s %13s %7s\n", j->job_id, user,
	       state_word(j), newest, age, size, cost, next);
	if (f && f->doing)
		print_doing(f);
	if (f && f->has_flush)
		print_flush(f);
	if (f && s->one)
		print_window(f);
	if (f)
		print_warnings(j);
}

static void add_seconds(struct json_object *o, const char *key, uint64_t ns)
{
	json_object_object_add(o, key,
			       json_object_new_double((double)ns / 1e9));
}

static struct json_object *doing_json(const JobFacts *f)
{
	struct json_object *o = json_object_new_object();

	print_add_string(o, "what", f->doing);
	print_add_string(o, "cause", f->cause ? f->cause : "");
	print_add_string(o, "phase", f->phase ? f->phase : "");
	add_seconds(o, "elapsed_s", f->elapsed_ns);
	if (f->has_expected_ns)
		add_seconds(o, "remaining_s",
			    between(f->elapsed_ns, f->expected_ns));
	return o;
}

static struct json_object *snapshot_json(const struct status *s,
					 const JobFacts *f)
{
	struct json_object *o = json_object_new_object();

	print_add_number(o, "generation", f->newest);
	print_add_number(o, "at_ns", f->newest_at_ns);
	add_seconds(o, "age_s", between(f->newest_at_ns, s->now));
	if (f->newest_cause)
		print_add_string(o, "cause", f->newest_cause);
	if (f->has_total_ns) {
		print_add_number(o, "bytes", f->page_bytes);
		add_seconds(o, "pause_s", f->frozen_ns);
		add_seconds(o, "total_s", f->total_ns);
	}
	return o;
}

static struct json_object *flush_json(const JobFacts *f)
{
	struct json_object *o = json_object_new_object();

	print_add_number(o, "generation", f->flush);
	print_add_number(o, "done_bytes", f->flush_done);
	print_add_number(o, "total_bytes", f->flush_total);
	if (f->flush_failed)
		print_add_string(o, "failed", f->flush_failed);
	return o;
}

static struct json_object *warnings_json(const JobFacts *f)
{
	struct json_object *list = json_object_new_array();
	char text[64];

	snprintf(text, sizeof(text), "needs %u s, window is %u s", f->needed_s,
		 f->window_s);
	if (f->warning)
		json_object_array_add(list, json_object_new_string(f->warning));
	else if (too_long(f))
		json_object_array_add(list, json_object_new_string(text));
	return list;
}

static void add_facts(const struct status *s, const JobFacts *f,
		      struct json_object *o)
{
	if (f->doing)
		json_object_object_add(o, "doing", doing_json(f));
	if (f->has_newest)
		json_object_object_add(o, "snapshot", snapshot_json(s, f));
	if (f->has_flush)
		json_object_object_add(o, "flush", flush_json(f));
	if (f->has_interval_s)
		print_add_number(o, "interval_s", f->interval_s);
	if (f->has_next_at_ns)
		print_add_number(o, "next_at_ns", f->next_at_ns);
	if (f->has_needed_s)
		print_add_number(o, "needed_s", f->needed_s);
	if (f->has_window_s && f->window_s != NEVER)
		print_add_number(o, "window_s", f->window_s);
	if (f->has_limit_at_ns)
		print_add_number(o, "limit_at_ns", f->limit_at_ns);
	if (f->failed) {
		print_add_string(o, "failed", f->failed);
		print_add_number(o, "failed_at_ns", f->failed_at_ns);
	}
	json_object_object_add(o, "warnings", warnings_json(f));
}

static struct json_object *status_json(const struct status *s,
				       const JobEntry *j)
{
	struct json_object *o = json_object_new_object();
	char user[64];

	print_user_name(j->uid, user, sizeof(user));
	print_add_string(o, "job_id", j->job_id);
	print_add_string(o, "user", user);
	print_add_number(o, "uid", j->uid);
	print_add_string(o, "node", j->node ? j->node : "");
	print_add_string(o, "name", j->name ? j->name : "");
	print_add_string(o, "state", state_word(j));
	print_add_number(o, "started_ns", j->started_ns);
	if (j->facts)
		add_facts(s, j->facts, o);
	return o;
}

static int on_status(void *arg, const Reply *reply)
{
	struct status *s = arg;
	size_t i;

	if (reply->result == -ENOENT && s->anywhere) {
		s->status = STATUS_NOT_FOUND;
		return 0;
	}
	if (reply->result < 0) {
		s->status = cli_fail_reply(reply);
		return 0;
	}
	for (i = 0; i < reply->n_jobs; i++)
		if (s->jobs)
			json_object_array_add(s->jobs,
					      status_json(s, reply->jobs[i]));
		else
			print_row(s, reply->jobs[i]);
	return 0;
}

static int ask(struct status *s, const char *job_id, struct err *err)
{
	Request req = REQUEST__INIT;

	s->status = STATUS_OK;
	req.op = job_id ? REQUEST__OPERATION__SHOW : REQUEST__OPERATION__LIST;
	req.job_id = (char *)job_id;
	req.has_facts = req.facts = 1;
	return cli_request(&s->cli, &req, NULL, 0, on_status, s, err);
}

/* Not here: with another node's jobcrd, in Slurm's queue, or nowhere. */
static int ask_elsewhere(struct status *s, const char *job_id, struct err *err)
{
	JobFacts facts = JOB_FACTS__INIT;
	JobEntry j = JOB_ENTRY__INIT;
	struct elsewhere there;

	s->anywhere = false;
	if (elsewhere_find(&s->cli, job_id, &there) < 0)
		return ask(s, job_id, err);
	if (*there.node && strcmp(there.node, s->cli.conf->node) != 0) {
		s->cli.node = there.node;
		return ask(s, job_id, err);
	}
	if (strcmp(there.state, "PENDING") != 0)
		return ask(s, job_id, err);
	j.job_id = (char *)job_id;
	j.uid = there.uid;
	j.state = CONTROL_RESTORING;
	j.facts = &facts;
	s->status = STATUS_OK;
	if (s->jobs)
		json_object_array_add(s->jobs, status_json(s, &j));
	else
		print_row(s, &j);
	return 0;
}

/* One look. */
static int look(struct status *s, const char *job_id)
{
	struct err err = { 0 };
	int r;

	s->now = clock_ns(CLOCK_REALTIME);
	s->jobs = s->cli.json ? json_object_new_array() : NULL;
	s->one = job_id != NULL;
	s->anywhere = job_id && !s->cli.node;
	if (!s->cli.json)
		printf("%-12s %-10s %-13s %8s %7s %10s %13s %7s\n", "JOBID",
		       "USER", "STATE", "SNAPSHOT", "AGE", "SIZE",
		       "PAUSE/TOTAL", "NEXT");
	r = ask(s, job_id, &err);
	if (r >= 0 && s->status == STATUS_NOT_FOUND && s->anywhere) {
		r = ask_elsewhere(s, job_id, &err);
		s->cli.node = NULL;
	}
	if (s->jobs && r >= 0 && s->status == STATUS_OK)
		print_json(s->jobs);
	else if (s->jobs)
		json_object_put(s->jobs);
	fflush(stdout);
	return r < 0 ? cli_fail(&err) : s->status;
}

int cmd_status(const struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "watch", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	struct status s = { .cli = *cli };
	const char *job_id = NULL;
	bool watch = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'j')
			s.cli.json = true;
		else if (c == 'w')
			watch = true;
		else
			return STATUS_USAGE;
	}
	if (optind + 1 < argc)
		return cli_usage("status takes one job at most");
	if (optind < argc)
		job_id = argv[optind];
	do {
		if (watch && !s.cli.json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		status = look(&s, job_id);
	} while (watch && status == STATUS_OK && !ferror(stdout) &&
		 sleep(WATCH_S) == 0);
	return status;
}
