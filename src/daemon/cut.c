/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/cut.h"

#include <errno.h>
#include <string.h>

#include "daemon/slurm.h"
#include "operation/aside.h"
#include "operation/checkpoint.h"
#include "util/cleanup.h"
#include "util/log.h"

/* One checkpoint under way. */
struct under_way {
	struct subject *s;
	const struct cut *cut;
	struct cut_result *ret;
};

/*
 * The snapshot is durable and the job frozen.  Back into the queue first:
 * a job that ends before would be over for Slurm.
 */
static bool requeue(void *arg, uint32_t generation)
{
	struct under_way *w = arg;
	struct subject *s = w->s;
	struct err err = { 0 };
	int r;

	r = w->cut->after == CUT_REQUEUE_HOLD
		    ? slurm_hold_job(s->conf->libexec, s->info.slurm,
				     w->cut->reason, &err)
		    : slurm_requeue_job(s->conf->libexec, s->info.slurm, &err);
	if (r < 0) {
		subject_note(s, "failed", generation,
			     "snapshot %u is there, but: %s: the job goes on",
			     generation, err.text);
		return false;
	}
	w->ret->requeued = true;
	return true;
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
	ret->frozen_ns = o->frozen_ns;
	ret->total_ns = o->total_ns;
	ret->page_bytes = o->page_bytes;
	ret->pages_ns = o->pages_ns;
}

static int checkpoint(struct under_way *w, struct err *err)
{
	bool ends = w->cut->after != CUT_GO_ON;
	const struct checkpoint c = {
		.info = &w->s->info,
		.cause = w->cut->cause,
		.kill = ends,
		.ask = ends,
		.put_aside = ends,
	};
	const struct worker_hooks hooks = {
		.phase = tell_phase,
		.published = requeue,
		.arg = w,
	};
	Reply *reply = NULL;
	int r = 0;

	if (ends)
		r = subject_tell(w->s, CONTROL_HOLD, 0, err);
	if (r == 0)
		r = checkpoint_job(w->s->conf, &c, &hooks, &reply, err);
	if (!reply)
		return r;
	subject_log_refusals(w->s, reply);
	if (reply->result < 0)
		r = err_set(err, reply->result, "%s",
			    reply->text ? reply->text : "failed");
	else if (reply->outcome) {
		take_outcome(w->ret, reply->outcome);
		subject_log_outcome(w->s, "checkpoint", w->cut->cause,
				    reply->outcome);
	}
	reply__free_unpacked(reply, NULL);
	return r;
}

/* A worker that was killed may have left the output files put aside. */
static void outputs_back(const struct subject *s)
{
	const char *paths[] = { s->info.stdout_path, s->info.stderr_path };
	struct user_id user;
	struct err err = { 0 };
	size_t i;
	int r = user_id_load(s->info.uid, s->info.gid, &user, &err);

	for (i = 0; i < ARRAY_SIZE(paths) && r == 0; i++)
		if (*paths[i])
			r = aside_take_back(paths[i], s->id, &user, &err);
	if (r < 0)
		log_error(s->id, "%s", err.text);
	else
		user_id_done(&user);
}

static void start_again(const struct subject *s)
{
	struct err err = { 0 };

	if (slurm_start_job(s->conf->libexec, s->info.slurm, &err) < 0)
		log_warning(s->id, "%s: it starts when Slurm lets it",
			    err.text);
	else
		subject_note(s, "requeued", 0, "requeued, may start at once");
}

int cut_job(struct subject *s, const struct cut *cut, struct cut_result *ret,
	    struct err *err)
{
	struct under_way w = { .s = s, .cut = cut, .ret = ret };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = checkpoint(&w, err);
	if (r < 0 && ret->requeued)
		subject_note(s, "failed", ret->generation, "%s", err->text);
	else if (r < 0)
		subject_note(s, r == -ENOTSUP ? "refused" : "failed", 0,
			     "%s: no checkpoint, the job goes on: %s",
			     cut->cause, err->text);
	if (cut->after != CUT_GO_ON && !ret->requeued)
		outputs_back(s);
	if (ret->requeued && cut->after == CUT_REQUEUE)
		start_again(s);
	return r;
}
