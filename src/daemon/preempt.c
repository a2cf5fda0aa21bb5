/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/preempt.h"

#include <errno.h>

#include "daemon/cut.h"
#include "daemon/slurm.h"
#include "daemon/warn.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/record.h"

/* Of the window, for a checkpoint of which nobody knows how long it takes. */
#define RESERVE_S 5

/* Nobody knows why: better a SIGTERM too many than a job that ignores one. */
static void let_go(const struct subject *s)
{
	struct err unused;

	(void)subject_tell(s, CONTROL_RELEASE, 0, &unused);
}

/*
 * What Slurm has decided.  A job that may not be requeued is saved all the
 * same: jobcr restore brings it back.
 */
static enum cut_after choose(const struct slurm_job *job)
{
	if (job->pending)
		return CUT_REQUEUED;
	return job->requeue ? CUT_REQUEUE : CUT_END;
}

/*
 * Seconds that may go by before the checkpoint begins.  Not beyond the grace
 * time: Slurm calls TIMEOUT what ends by itself then.  The hint came within a
 * second of its begin: the clocks of other nodes do not come into it.
 */
static unsigned int spare_time(const struct subject *s,
			       const struct slurm_job *job)
{
	uint64_t window = job->kill_wait_s, grace = 0, reserve = RESERVE_S;
	struct record_last last;
	struct record_plan plan;
	struct err unused;

	if (!job->completing && job->end_time > job->preempt_time)
		grace = job->end_time - job->preempt_time;
	window += grace;
	if (record_read(s->conf->run_dir, s->id, RECORD_LAST, &last,
			sizeof(last), &unused) == 0 &&
	    last.total_ns)
		reserve = 2 * last.total_ns / NSEC_PER_SEC + 2;
	/* Also of what the last one did not write. */
	if (record_read(s->conf->run_dir, s->id, RECORD_PLAN, &plan,
			sizeof(plan), &unused) == 0 &&
	    plan.needed_s > reserve)
		reserve = plan.needed_s;
	if (reserve > window / 2)
		reserve = (window + 1) / 2;
	window -= reserve;
	if (grace && window >= grace)
		window = grace - 1;
	return window > UINT32_MAX ? UINT32_MAX : (unsigned int)window;
}

/* Slurm ends this run of the job, for a reason that is not the job's own. */
static int save(struct subject *s, const struct slurm_job *job)
{
	struct cut cut = {
		.cause = job->reason == SLURM_REASON_PREEMPT ? "preempt"
			 : job->reason == SLURM_REASON_NODE  ? "node"
							     : "requeue",
		.after = choose(job),
	};
	struct slurm_job now = *job;
	struct cut_result result;
	struct err err = { 0 };
	int r;

	subject_note(s,
		     job->reason == SLURM_REASON_PREEMPT ? "preempted"
							 : "requeued",
		     0, "%s: checkpoint%s", cut.cause,
		     cut.after == CUT_END ? ", kept for jobcr restore" : "");
	r = warn_job(s, spare_time(s, job), &err);
	if (r == -ESRCH) {
		log_info(s->id, "%s", err.text);
		return 0;
	}
	if (r < 0)
		log_warning(s->id, "not warned: %s", err.text);
	/* What was true before the warning need not be true after it. */
	if (s->info.options.signal &&
	    slurm_query(s->conf->libexec, s->info.slurm, &now, &err) == 0)
		cut.after = choose(&now);
	return cut_job(s, &cut, &result, &err);
}

/* Is this run to end, and the job to live? */
static bool is_to_be_saved(const struct slurm_job *job)
{
	return job->reason == SLURM_REASON_PREEMPT ||
	       job->reason == SLURM_REASON_REQUEUE ||
	       job->reason == SLURM_REASON_NODE;
}

/* Another child has it: for less than this, perhaps. */
static bool is_pressing(const struct conf *conf, const char *job_id)
{
	struct control_info info;
	struct slurm_job job = { 0 };
	struct err unused;

	return control_read_info(conf->run_dir, job_id, &info, &unused) == 0 &&
	       slurm_query(conf->libexec, info.slurm, &job, &unused) == 0 &&
	       is_to_be_saved(&job) && !job.suspended;
}

int preempt_checkpoint(const struct conf *conf, const char *job_id)
{
	struct err err = { 0 };
	struct slurm_job job = { 0 };
	struct subject s;
	int r = subject_open(conf, job_id, CONTROL_ALIVE, &s, &err);

	if (r == -EBUSY && is_pressing(conf, job_id))
		r = subject_open_first(conf, job_id, CONTROL_ALIVE, &s, &err);
	if (r < 0)
		return 0;
	/* Not a failed checkpoint, after which the job is left in peace. */
	if (slurm_query(conf->libexec, s.info.slurm, &job, &err) < 0)
		log_error(s.id, "why it is signalled is not known: %s",
			  err.text);
	else if (is_to_be_saved(&job) && job.suspended)
		subject_note(&s, "warning", 0,
			     "preempted while suspended: no checkpoint");
	else if (is_to_be_saved(&job))
		r = save(&s, &job);
	let_go(&s);
	subject_done(&s);
	return r < 0;
}
