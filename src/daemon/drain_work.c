/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Smallest predicted time first: most jobs are safe early, whatever ends the
 * drain before its time.
 */
#include "daemon/drain_work.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/drain_job.h"
#include "daemon/elsewhere.h"
#include "daemon/slurm_node.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define TICK_NS   (100L * 1000 * 1000)
#define FOLLOW_NS (1 * NSEC_PER_SEC)
#define SCAN_NS   (5 * NSEC_PER_SEC)
/* Refused is not for ever: with a deadline it is tried again. */
#define RETRY_NS (30 * NSEC_PER_SEC)
/* How long a job in the queue is watched: it may start at once elsewhere. */
#define SETTLE_NS (30 * NSEC_PER_SEC)
/* A job that Slurm has started so lately may not have told us of itself. */
#define YOUNG_S  20
#define YOUNG_NS (6 * NSEC_PER_SEC)
/* Slurm's controller may be away for a moment. */
#define SCAN_TRIES 12

struct work {
	const struct conf *conf;
	struct drain_table *t;
	uint64_t next_scan, next_follow, began;
	unsigned int failed_scans;
};

/* ---- what Slurm says
 * -------------------------------------------------------*/

static bool is_ours(const struct conf *conf, const char *job_id)
{
	struct control_info info;
	struct err unused;

	return control_read_info(conf->run_dir, job_id, &info, &unused) == 0 &&
	       info.slurm;
}

/* Those that no checkpoint helps are said so at once. */
static bool cannot(struct drain_row *row, const struct slurm_node_job *job)
{
	if (job->nodes > 1)
		drain_say(row,
			  "it runs on %u nodes: only jobs of one node can "
			  "be saved; it goes on until it ends",
			  job->nodes);
	else if (!job->requeue)
		drain_say(row,
			  "submitted with --no-requeue; \"scontrol update "
			  "jobid=%u requeue=1\", then drain again",
			  job->id);
	else if (strcmp(job->state, "suspended") == 0)
		drain_say(row,
			  "suspended; \"scontrol resume %u\", then drain "
			  "again",
			  job->id);
	else
		return false;
	return true;
}

static void classify(const struct conf *conf, struct drain_table *t,
		     struct drain_row *row, const struct slurm_node_job *job)
{
	int64_t age = (int64_t)time(NULL) - (int64_t)job->start;

	row->young = row->unfit = 0;
	if (!is_ours(conf, row->job_id)) {
		row->young = age < YOUNG_S && age > -YOUNG_S;
		drain_say(row,
			  "not a job of jobcr (submitted without --jobcr): "
			  "it goes on until it ends");
		if (row->state != DRAIN_FOREIGN)
			drain_set(t, row, DRAIN_FOREIGN);
		return;
	}
	drain_job_predict(conf, row);
	row->retry_ns = 0;
	if (cannot(row, job)) {
		row->unfit = 1;
		if (row->state != DRAIN_REFUSED)
			drain_set(t, row, DRAIN_REFUSED);
		return;
	}
	row->text[0] = '\0';
	drain_set(t, row, DRAIN_WAITING);
}

/* asked: when Slurm was; what has changed since is newer. */
static void take_job(const struct conf *conf, struct drain_table *t,
		     const struct slurm_node_job *job, uint64_t asked)
{
	char id[16];
	struct drain_row *row;

	snprintf(id, sizeof(id), "%u", job->id);
	row = drain_find(t, id);
	if (row)
		row->seen = 1;
	if (strcmp(job->state, "leaving") == 0)
		return;
	if (!row) {
		row = drain_add(t, id, job->uid);
		if (!row)
			return;
		row->seen = 1;
		snprintf(row->before, sizeof(row->before), "%s", job->state);
		classify(conf, t, row, job);
	} else if (!row->pid && row->since_ns < asked &&
		   (row->state == DRAIN_FOREIGN || row->unfit ||
		    drain_has_left(row))) {
		/* It came back, or is fit now. */
		row->done_before = 0;
		classify(conf, t, row, job);
	}
}

/* Slurm runs it at node: so does jobcrd there, once it is restored. */
static enum drain_state see_start(const struct conf *conf,
				  struct drain_row *row, const char *node)
{
	uint64_t now = clock_monotonic_ns();

	snprintf(row->node, sizeof(row->node), "%s", node);
	row->text[0] = '\0';
	switch (elsewhere_look(conf, node, row->job_id)) {
	case ELSEWHERE_RESTORING:
		row->retry_ns = now + SETTLE_NS;
		return DRAIN_STARTING;
	case ELSEWHERE_UNHEARD:
		return DRAIN_STARTING;
	default:
		break;
	}
	if (row->frozen_at_ns && !row->away_ns)
		row->away_ns = now - row->frozen_at_ns;
	return DRAIN_ELSEWHERE;
}

/* Where is it now?  Only for jobs that nobody has in his hands. */
static void locate(const struct conf *conf, struct drain_table *t,
		   struct drain_row *row)
{
	enum drain_state state = DRAIN_GONE;
	struct slurm_place at;
	struct err err = { 0 };
	int r = slurm_job_place(conf->libexec, row->job_id, &at, &err);

	if (r < 0 && r != -ENOENT)
		return;
	if (r == 0 && strcmp(at.state, "PENDING") == 0) {
		state = at.held ? DRAIN_HELD : DRAIN_QUEUED;
		if (at.held && !t->hold)
			drain_say(row,
				  "held: \"scontrol show job %s\" says "
				  "why, \"scontrol release %s\" starts it",
				  row->job_id, row->job_id);
	} else if (r == 0 && (strcmp(at.state, "RUNNING") == 0 ||
			      strcmp(at.state, "SUSPENDED") == 0)) {
		if (strcmp(at.nodes, conf->node) == 0)
			return;
		state = see_start(conf, row, at.nodes);
	} else if (r == 0) {
		drain_say(row, "it has ended: %s", at.state);
	}
	if (row->state != (uint32_t)state)
		drain_set(t, row, state);
}

int drain_scan(const struct conf *conf, struct drain_table *t, struct err *err)
{
	auto_free struct slurm_node_job *jobs = NULL;
	uint64_t asked = clock_monotonic_ns();
	size_t count, i;
	int r = slurm_node_jobs(conf->libexec, conf->node, &jobs, &count, err);

	if (r < 0)
		return r;
	for (i = 0; i < t->count; i++)
		t->rows[i].seen = 0;
	for (i = 0; i < count; i++)
		take_job(conf, t, &jobs[i], asked);
	for (i = 0; i < t->count; i++) {
		struct drain_row *row = &t->rows[i];

		if (!row->seen && !drain_has_left(row) && !row->pid)
			locate(conf, t, row);
	}
	return 0;
}

/* ---- the work
 * --------------------------------------------------------------*/

static void begin(struct work *w, struct drain_row *row)
{
	pid_t pid;

	drain_set(w->t, row, DRAIN_SAVING);
	pid = fork();
	if (pid == 0) {
		drain_job_save(w->conf, w->t, row);
		_exit(0);
	}
	if (pid > 0) {
		row->pid = pid;
		return;
	}
	drain_say(row, "no process for it: %s", strerror(errno));
	drain_set(w->t, row, DRAIN_FAILED);
}

static bool is_before(const struct drain_row *a, const struct drain_row *b)
{
	if (!b)
		return true;
	return a->expected_ns != b->expected_ns
		       ? a->expected_ns < b->expected_ns
		       : a->page_bytes < b->page_bytes;
}

static bool is_due(const struct drain_row *row, uint64_t now)
{
	return row->state == DRAIN_WAITING && !row->pid && row->retry_ns <= now;
}

static void begin_some(struct work *w)
{
	uint64_t now = clock_monotonic_ns();
	struct drain_row *next;
	unsigned int busy = 0;
	uint32_t i;

	for (i = 0; i < w->t->count; i++)
		busy += w->t->rows[i].pid != 0;
	for (; busy < w->conf->drain_jobs; busy++) {
		next = NULL;
		for (i = 0; i < w->t->count; i++)
			if (is_due(&w->t->rows[i], now) &&
			    is_before(&w->t->rows[i], next))
				next = &w->t->rows[i];
		if (!next)
			return;
		begin(w, next);
	}
}

static void reap(struct work *w)
{
	struct drain_row *row;
	int status;
	uint32_t i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < w->t->count; i++)
			if (w->t->rows[i].pid == pid)
				break;
		if (i == w->t->count)
			continue;
		row = &w->t->rows[i];
		row->pid = 0;
		if (row->state == DRAIN_SAVING) {
			drain_say(row, "the process that saved it was killed; "
				       "drain again");
			drain_set(w->t, row, DRAIN_FAILED);
		}
		w->next_scan = w->next_follow = 0;
	}
}

static void scan(struct work *w, uint64_t now)
{
	struct err err = { 0 };

	if (now < w->next_scan)
		return;
	w->next_scan = now + SCAN_NS;
	if (drain_scan(w->conf, w->t, &err) == 0) {
		w->failed_scans = 0;
		return;
	}
	log_warning(NULL, "drain: %s", err.text);
	if (++w->failed_scans >= SCAN_TRIES)
		snprintf(w->t->error, sizeof(w->t->error), "%.*s",
			 (int)sizeof(w->t->error) - 1, err.text);
}

static void follow(struct work *w, uint64_t now)
{
	uint32_t i;

	if (now < w->next_follow)
		return;
	w->next_follow = now + FOLLOW_NS;
	for (i = 0; i < w->t->count; i++) {
		struct drain_row *row = &w->t->rows[i];

		if (!row->pid && (row->state == DRAIN_QUEUED ||
				  row->state == DRAIN_STARTING))
			locate(w->conf, w->t, row);
	}
}

static bool ends_soon(const struct work *w, uint64_t now)
{
	return w->t->stop || *w->t->error ||
	       (w->t->deadline_ns && now >= w->t->deadline_ns);
}

/* One that goes on here: its cause may pass. */
static void try_again(struct work *w, uint64_t now)
{
	uint32_t i;

	for (i = 0; i < w->t->count; i++) {
		struct drain_row *row = &w->t->rows[i];

		if ((row->state == DRAIN_REFUSED ||
		     row->state == DRAIN_FAILED) &&
		    !row->pid && now >= row->since_ns + RETRY_NS) {
			row->retry_ns = 0;
			drain_set(w->t, row, DRAIN_WAITING);
		}
	}
}

static bool keeps_on(const struct work *w, const struct drain_row *row,
		     uint64_t now)
{
	bool waits = w->t->deadline_ns != 0;

	if (row->pid)
		return true;
	if (ends_soon(w, now))
		return false;
	switch (row->state) {
	case DRAIN_WAITING:
	case DRAIN_SAVING:
		return true;
	case DRAIN_QUEUED:
		return !row->done_before && now < row->since_ns + SETTLE_NS;
	case DRAIN_STARTING:
		return !row->done_before &&
		       (now < row->since_ns + SETTLE_NS || now < row->retry_ns);
	case DRAIN_FOREIGN:
		return waits || (row->young && now < w->began + YOUNG_NS);
	case DRAIN_REFUSED:
	case DRAIN_FAILED:
		return waits;
	default:
		return false;
	}
}

static bool is_over(const struct work *w, uint64_t now)
{
	uint32_t i;

	for (i = 0; i < w->t->count; i++)
		if (keeps_on(w, &w->t->rows[i], now))
			return false;
	return true;
}

/* Waiting jobs that nobody will come to. */
static void close_rows(struct work *w)
{
	uint32_t i;

	for (i = 0; i < w->t->count; i++) {
		struct drain_row *row = &w->t->rows[i];

		if (!drain_is_open(row))
			continue;
		drain_say(row, "%s",
			  w->t->stop     ? "the node was undrained before its "
					   "turn"
			  : *w->t->error ? w->t->error
					 : "the deadline came before its turn");
		drain_set(w->t, row, DRAIN_FAILED);
	}
}

/* What an earlier drain left behind it has gone its way since. */
static void look_back(struct work *w)
{
	uint32_t i;

	for (i = 0; i < w->t->count; i++)
		if (w->t->rows[i].done_before)
			locate(w->conf, w->t, &w->t->rows[i]);
}

void drain_work(const struct conf *conf, struct drain_table *t)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	struct work w = { .conf = conf, .t = t, .began = clock_monotonic_ns() };
	uint64_t now = w.began;

	look_back(&w);
	for (;; now = clock_monotonic_ns()) {
		reap(&w);
		scan(&w, now);
		if (!ends_soon(&w, now) && t->deadline_ns)
			try_again(&w, now);
		if (!ends_soon(&w, now))
			begin_some(&w);
		follow(&w, now);
		if (w.failed_scans == 0 || *t->error)
			if (is_over(&w, now))
				break;
		nanosleep(&tick, NULL);
	}
	close_rows(&w);
	__atomic_store_n(&t->over, 1, __ATOMIC_RELEASE);
}
