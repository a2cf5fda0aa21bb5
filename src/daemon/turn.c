/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cut.h"
#include "daemon/limits.h"
#include "daemon/plan.h"
#include "daemon/server.h"
#include "daemon/slurm.h"
#include "daemon/writers.h"
#include "kernel/tree.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/notify.h"

/*
 * So many in a row are skipped: a job that only waits for a time to come
 * would, from its last snapshot, wait for all of it again.
 */
#define SKIPS_MAX 10

/*
 * When a tree has been let go its threads take up their calls again: it is
 * given so long to be asleep as before, and what it used meanwhile is no more
 * than that takes.  While it stood still its threads made calls for us, one at
 * a time: no more than that time, however slow the node is.
 */
#define SETTLE_TRIES 20
#define SETTLE_NS    25000000
#define SETTLE_CPU   10000000ull
#define THREAD_CPU   1000000ull

/* One turn of one job. */
struct turn {
	const struct conf *conf;
	struct control_info info;
	struct plan_facts facts;
	uint64_t due;
};

/* Where it stands now; -ESRCH: there is nothing to do any more. */
static int turn_look(const struct conf *conf, const char *job_id, bool limit,
		     struct turn *ret, struct err *err)
{
	uint64_t now = clock_monotonic_ns();
	int r = control_read_info(conf->run_dir, job_id, &ret->info, err);

	if (r == 0 && ret->info.state != CONTROL_ALIVE)
		r = err_set(err, -ESRCH, "it does not run");
	if (r < 0)
		return r;
	ret->conf = conf;
	plan_read(conf, &ret->info, &ret->facts);
	plan_make(conf, &ret->facts, now);
	ret->due = limit ? plan_limit_due(&ret->facts) : plan_due(&ret->facts);
	if (!ret->due || ret->due > now)
		return err_set(err, -ESRCH, "it is not due");
	return 0;
}

static void turn_write(const struct turn *t, const char *name,
		       struct record_turn turn)
{
	struct err err = { 0 };

	turn.number++;
	turn.due_mono = t->due;
	turn.ended_mono = clock_monotonic_ns();
	turn.skipped = turn.result == TURN_SKIPPED ? turn.skipped + 1 : 0;
	turn.failures = turn.result < 0 ? turn.failures + 1 : 0;
	if (record_write(t->conf->run_dir, t->info.job_id, name, &turn,
			 sizeof(turn), &err) < 0)
		log_debug(t->info.job_id, "%s", err.text);
}

/*
 * Not one instruction since the tree was let go after its last snapshot.
 * Another snapshot of the same, made by somebody else, is none of ours.
 */
static bool nothing_changed(const struct turn *t)
{
	const struct record_turn *last = &t->facts.turn;
	struct tree_look look;
	struct err unused;

	return last->mark && last->skipped < SKIPS_MAX &&
	       last->generation == t->facts.last.generation &&
	       tree_look(t->info.init_pid, &look, &unused) == 0 &&
	       look.asleep && look.mark == last->mark;
}

static void skip(const struct turn *t)
{
	struct record_turn turn = t->facts.turn;

	turn.result = TURN_SKIPPED;
	turn_write(t, RECORD_TURN, turn);
	if (turn.skipped == 0)
		event_note(t->conf, &t->info, "skipped", turn.generation,
			   "interval: nothing has changed since generation %u",
			   turn.generation);
}

/*
 * The tree as it is once it is asleep again: 0 when it has been at work since
 * before the cut, which is more than this snapshot holds, or when we do not
 * see what the snapshot has: its processes and threads, and our init.
 */
static uint64_t settle(const struct turn *t, const struct tree_look *before,
		       const struct cut_result *cut)
{
	const struct timespec pause = { .tv_nsec = SETTLE_NS };
	uint64_t allowed =
		cut->frozen_ns + SETTLE_CPU + before->threads * THREAD_CPU;
	struct tree_look look;
	struct err unused;
	int i;

	if (!before->asleep || before->processes != cut->tasks + 1 ||
	    before->threads != cut->threads + 1)
		return 0;
	for (i = 0; i < SETTLE_TRIES; i++) {
		if (tree_look(t->info.init_pid, &look, &unused) < 0 ||
		    look.members != before->members ||
		    look.cpu_ns > before->cpu_ns + allowed)
			break;
		if (look.asleep)
			return look.mark;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A preemption's hint may have come while the job was in our hands. */
static void pass_on(const struct turn *t)
{
	struct err unused;

	if (t->info.slurm)
		(void)notify_send(t->conf->run_dir, t->info.job_id,
				  NOTIFY_PREEMPT, 0, &unused);
}

static void cut_interval(const struct turn *t)
{
	const struct cut cut = { .cause = "interval", .after = CUT_GO_ON };
	struct record_turn turn = t->facts.turn;
	struct tree_look before = { 0 };
	struct cut_result result;
	struct err err = { 0 };
	struct subject s;

	/* Somebody else makes one: what is due then is seen then. */
	if (subject_open_any(t->conf, t->info.job_id, CONTROL_ALIVE, &s, &err) <
	    0)
		return;
	(void)tree_look(t->info.init_pid, &before, &err);
	turn.result = cut_job(&s, &cut, &result, &err);
	turn.mark = 0;
	if (turn.result == 0) {
		turn.generation = result.generation;
		turn.mark = settle(t, &before, &result);
	}
	turn_write(t, RECORD_TURN, turn);
	subject_done(&s);
	pass_on(t);
}

/* For writers_enter: the job is there, and nobody was faster. */
static bool still_due(void *arg)
{
	const struct turn *t = arg;
	struct turn now;
	struct err unused;

	return turn_look(t->conf, t->info.job_id, false, &now, &unused) == 0;
}

int turn_interval(const struct conf *conf, const char *job_id)
{
	auto_close int lock = -EBADF;
	auto_close int slot = -EBADF;
	struct err err = { 0 };
	struct turn t;
	int r = plan_lock(conf, job_id, false, &lock, &err);

	if (r == 0)
		r = turn_look(conf, job_id, false, &t, &err);
	if (r < 0)
		return 0;
	if (nothing_changed(&t)) {
		skip(&t);
		return 0;
	}
	r = writers_enter(conf, job_id, still_due, &t, &slot, &err);
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		log_warning(job_id, "MaxWriters is not kept: %s", err.text);
	cut_interval(&t);
	return 0;
}

/* Slurm's word of some time ago is not enough to take a job off its node. */
static int ask_again(const struct conf *conf, const char *job_id,
		     struct turn *t, struct slurm_job *ret_job, struct err *err)
{
	int r = limits_refresh(conf, &t->info.slurm, 1, err);

	if (r == 0)
		r = turn_look(conf, job_id, true, t, err);
	if (r == 0)
		r = slurm_query(conf->libexec, t->info.slurm, ret_job, err);
	if (r == 0 && ret_job->reason != SLURM_REASON_NONE)
		r = err_set(err, -ESRCH, "it is preempted or ends already");
	return r;
}

int turn_limit(const struct conf *conf, const char *job_id)
{
	struct cut cut = { .cause = "timelimit", .after = CUT_REQUEUE };
	auto_close int lock = -EBADF;
	struct cut_result result;
	struct record_turn turn;
	struct slurm_job job;
	struct err err = { 0 };
	struct subject s;
	struct turn t;
	int r = plan_lock(conf, job_id, true, &lock, &err);

	if (r == 0)
		r = turn_look(conf, job_id, true, &t, &err);
	if (r == 0)
		r = ask_again(conf, job_id, &t, &job, &err);
	if (r == 0)
		r = subject_open(conf, job_id, CONTROL_ALIVE, &s, &err);
	if (r < 0)
		return 0;
	turn = t.facts.limit_turn;
	if (!job.requeue) {
		subject_note(&s, "warning", 0,
			     "the time limit is near, but it was submitted "
			     "with --no-requeue: a last snapshot, for jobcr "
			     "restore");
		cut.after = CUT_GO_ON;
	}
	turn.result = cut_job(&s, &cut, &result, &err);
	if (turn.result == 0 && cut.after == CUT_REQUEUE && !result.requeued)
		turn.result = -EAGAIN;
	/* The next run of it may be there already: it knows nothing of ours. */
	if (!result.requeued)
		turn_write(&t, RECORD_TURN_LIMIT, turn);
	subject_done(&s);
	pass_on(&t);
	return 0;
}
