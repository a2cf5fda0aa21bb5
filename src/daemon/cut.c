/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/cut.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

#include "daemon/resubmit.h"
#include "daemon/flush.h"
#include "daemon/slurm.h"
#include "operation/aside.h"
#include "operation/checkpoint.h"
#include "operation/chronicle.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/saving.h"
#include "wire/shelter.h"

/* One checkpoint under way. */
struct under_way {
	struct subject *s;
	const struct cut *cut;
	struct cut_result *ret;
	int saving; /* the epilog waits until it is closed */
};

/* Slurm ends the job anyway: that it goes on is no longer to be had. */
static bool is_ending(struct under_way *w)
{
	const struct subject *s = w->s;
	struct slurm_job job;
	struct err unused;

	if (slurm_query(s->conf->libexec, s->info.slurm, &job, &unused) < 0)
		return false;
	w->ret->requeued = job.pending;
	return job.completing || job.pending;
}

/*
 * The snapshot is durable and the job frozen.  Back into the queue first:
 * a job that ends before would be over for Slurm.
 */
static bool requeue(struct under_way *w, uint32_t generation, bool gone)
{
	struct subject *s = w->s;
	struct err err = { 0 };
	int r;

	if (gone && w->cut->after == CUT_REQUEUE && is_ending(w) &&
	    w->ret->requeued) {
		subject_note(s, "killed", generation,
			     "Slurm killed and requeued the job while its "
			     "snapshot was written");
		return true;
	}
	r = w->cut->after == CUT_REQUEUE_HOLD
		    ? slurm_hold_job(s->conf->libexec, s->info.slurm,
				     w->cut->reason, &err)
		    : slurm_requeue_job(s->conf->libexec, s->info.slurm, &err);
	if (r == -ECANCELED) {
		/* What Slurm sends is what the user wants it to get. */
		subject_note(s, "warning", generation,
			     "cancelled while it was saved: snapshot %u is "
			     "kept, the job ends",
			     generation);
		return gone;
	}
	if (r < 0) {
		bool ends = is_ending(w) || gone;

		subject_note(s, "failed", generation,
			     "snapshot %u is there, but: %s: the job %s",
			     generation, err.text, ends ? "ends" : "goes on");
		return ends;
	}
	w->ret->requeued = true;
	return true;
}

static bool published(void *arg, uint32_t generation, bool gone)
{
	struct under_way *w = arg;
	struct err unused;

	switch (w->cut->after) {
	case CUT_REQUEUED:
		w->ret->requeued = true;
		return true;
	case CUT_END:
		(void)subject_tell(w->s, CONTROL_LINGER, 0, &unused);
		return true;
	default:
		return requeue(w, generation, gone);
	}
}

static void tell_phase(void *arg, const char *phase)
{
	const struct under_way *w = arg;

	subject_log_phase(w->s, phase);
	if (w->cut->phase)
		w->cut->phase(w->cut->arg, phase);
}

static void take_outcome(struct cut_result *ret, const Outcome *o)
{
	ret->generation = o->generation;
	ret->tasks = o->tasks;
	ret->threads = o->threads;
	ret->frozen_ns = o->frozen_ns;
	ret->total_ns = o->total_ns;
	ret->page_bytes = o->page_bytes;
	ret->fast = o->has_fast && o->fast;
	ret->pages_ns = o->pages_ns;
}

/* What it depended on that Slurm did not kill it too soon. */
static void warn_not_safe(const struct subject *s, const Outcome *o)
{
	if (o->not_pinned)
		log_warning(s->id, "not pinned: %s%s", o->not_pinned,
			    o->not_sheltered ? "" : ": sheltered instead");
	if (o->not_sheltered)
		log_warning(s->id,
			    "not sheltered: %s: it had to last until all was "
			    "copied",
			    o->not_sheltered);
}

/* Killed by Slurm, or given up: its supervisor does not look after it. */
static void end_shelter(const struct subject *s)
{
	struct pollfd p = { .fd = s->control_fd, .events = 0 };
	struct err err = { 0 };

	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) &&
	    shelter_end(s->conf->run_dir, s->id, &err) < 0)
		log_error(s->id, "%s", err.text);
}

static int checkpoint(struct under_way *w, struct err *err)
{
	bool ends = w->cut->after != CUT_GO_ON;
	const struct checkpoint c = {
		.info = &w->s->info,
		.cause = w->cut->cause,
		.kill = ends,
		.ask = ends,
		.shelter = ends,
		/* Before the job's time limit it is the last one. */
		.fast = !ends && strcmp(w->cut->cause, "interval") == 0,
		/* Who starts it again empties its output. */
		.put_aside = ends && w->cut->after != CUT_END,
	};
	const struct worker_hooks hooks = {
		.phase = tell_phase,
		.published = published,
		.arg = w,
	};
	Reply *reply = NULL;
	int r = 0;

	if (ends)
		r = subject_tell(w->s, CONTROL_HOLD, 0, err);
	if (r == 0 && ends)
		r = saving_begin(w->s->conf->run_dir, w->s->id, &w->saving,
				 err);
	if (r == 0)
		r = checkpoint_job(w->s->conf, &c, &hooks, &reply, err);
	if (!reply)
		return r;
	subject_log_refusals(w->s, reply);
	subject_say_refusal(reply, w->ret->refusal, sizeof(w->ret->refusal));
	if (reply->result < 0)
		r = err_set(err, reply->result, "%s",
			    reply->text ? reply->text : "failed");
	else if (reply->outcome) {
		take_outcome(w->ret, reply->outcome);
		warn_not_safe(w->s, reply->outcome);
		subject_log_outcome(w->s, "checkpoint", w->cut->cause,
				    reply->outcome);
		if (reply->outcome->not_fast)
			subject_note(w->s, "fast", reply->outcome->generation,
				     CHRONICLE_NOT_FAST,
				     reply->outcome->not_fast);
		if (chronicle_not_watched(w->s->conf, &w->s->info,
					  reply->outcome))
			subject_note(w->s, "note", reply->outcome->generation,
				     CHRONICLE_NOT_WATCHED,
				     reply->outcome->not_borrowed);
		if (chronicle_not_kept(w->s->conf, &w->s->info, reply->outcome))
			subject_note(w->s, "warning",
				     reply->outcome->generation, "%s",
				     reply->outcome->not_kept);
	}
	reply__free_unpacked(reply, NULL);
	return r;
}

static void outputs(const struct subject *s, bool back)
{
	struct err err = { 0 };

	if ((back ? aside_undo_outputs(&s->info, &err)
		  : aside_put_outputs(&s->info, &err)) < 0)
		log_error(s->id, "%s", err.text);
}

static void tell_comment(const struct subject *s, const struct cut_result *ret)
{
	char text[256], at[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(at, sizeof(at), "%Y-%m-%dT%H:%M", &tm);
	snprintf(text, sizeof(text),
		 "jobcr: generation %u of %s, %.1f MiB, in %.128s",
		 ret->generation, at, (double)ret->page_bytes / 1048576.0,
		 ret->fast ? s->conf->fast_dir : s->conf->store_dir);
	subject_comment(s, text);
}

/* Slurm starts nothing before the epilog is over. */
static void start_again(struct under_way *w)
{
	const struct subject *s = w->s;
	struct err err = { 0 };

	if (w->saving >= 0)
		close(take_fd(&w->saving));
	if (slurm_start_job(s->conf->libexec, s->info.slurm, &err) < 0)
		log_warning(s->id, "%s: it starts when Slurm lets it",
			    err.text);
	else
		subject_note(s, "requeued", 0, "requeued, may start at once");
}

/* What becomes of output and queue when the checkpoint is over. */
static void settle(struct under_way *w, bool failed)
{
	struct subject *s = w->s;
	enum cut_after after = w->cut->after;
	int last;

	/* Slurm's patience has ended before it was saved. */
	if (after == CUT_REQUEUE && failed && is_ending(w) && w->ret->requeued)
		after = CUT_REQUEUED;
	if (after == CUT_REQUEUED && failed)
		/* It goes on from the one before, wherever that is. */
		flush_await(s->conf, s->id);
	if (after == CUT_REQUEUED && failed && (last = subject_newest(s))) {
		if (last > 0)
			subject_note(s, "warning", (uint32_t)last,
				     "it starts again from generation %d",
				     last);
		outputs(s, false);
		start_again(w);
		return;
	}
	/* A worker that was killed may have left the files put aside. */
	if (after != CUT_GO_ON && after != CUT_END && !w->ret->requeued)
		outputs(s, true);
	if (w->ret->requeued && after != CUT_REQUEUE_HOLD)
		start_again(w);
}

/* Its supervisor knows, or without its init there is nothing left of it. */
static bool has_ended(const struct subject *s)
{
	struct control_info now;
	struct err unused;

	return (kill(s->info.init_pid, 0) < 0 && errno == ESRCH) ||
	       (control_read_info(s->conf->run_dir, s->id, &now, &unused) ==
			0 &&
		now.state != CONTROL_ALIVE && now.state != CONTROL_SUSPENDED);
}

int cut_job(struct subject *s, const struct cut *cut, struct cut_result *ret,
	    struct err *err)
{
	struct under_way w = {
		.s = s, .cut = cut, .ret = ret, .saving = -EBADF
	};
	int r;

	memset(ret, 0, sizeof(*ret));
	resubmit_keep(s);
	r = checkpoint(&w, err);
	end_shelter(s);
	if (r < 0 && ret->requeued)
		subject_note(s, "failed", ret->generation, "%s", err->text);
	else if (r < 0 && cut->after == CUT_GO_ON && has_ended(s))
		log_info(s->id, "%s: it ended meanwhile", cut->cause);
	else if (r < 0)
		subject_note(s, r == -ENOTSUP ? "refused" : "failed", 0,
			     "%s: no checkpoint, the job goes on: %s",
			     cut->cause, err->text);
	/* A held job's comment is the reason. */
	if (r == 0 && cut->after != CUT_REQUEUE_HOLD)
		tell_comment(s, ret);
	settle(&w, r < 0);
	if (w.saving >= 0)
		close(w.saving);
	return r;
}
