/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/preempt.h"

#include "daemon/cut.h"
#include "daemon/slurm.h"
#include "util/log.h"

/* Nobody knows why: better a SIGTERM too many than a job that ignores one. */
static void let_go(const struct subject *s)
{
	struct err unused;

	(void)subject_tell(s, CONTROL_RELEASE, 0, &unused);
}

static int checkpoint_preempted(struct subject *s)
{
	const struct cut cut = { .cause = "preempt", .after = CUT_REQUEUE };
	struct cut_result result;
	struct err err = { 0 };

	subject_note(s, "preempted", 0, "preempted: checkpoint");
	return cut_job(s, &cut, &result, &err);
}

int preempt_checkpoint(const struct conf *conf, const char *job_id)
{
	struct err err = { 0 };
	struct slurm_job job = { 0 };
	struct subject s;
	int r = subject_open(conf, job_id, CONTROL_ALIVE, &s, &err);

	if (r < 0)
		return 0;
	r = slurm_query(conf->libexec, s.info.slurm, &job, &err);
	if (r < 0)
		log_error(s.id, "why it is signalled is not known: %s",
			  err.text);
	else if (job.reason == SLURM_REASON_PREEMPT && !job.requeue)
		subject_note(&s, "warning", 0,
			     "preempted, but submitted with --no-requeue: no "
			     "checkpoint");
	else if (job.reason == SLURM_REASON_PREEMPT)
		r = checkpoint_preempted(&s);
	let_go(&s);
	subject_done(&s);
	return r < 0;
}
