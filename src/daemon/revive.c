/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/revive.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "daemon/slurm.h"
#include "daemon/subject.h"
#include "operation/checkpoint.h"
#include "operation/operation.h"
#include "util/log.h"

/* Slurm's controller may be away for a moment, or for the night. */
#define HOLD_TRIES   60
#define HOLD_PAUSE_S 5

/*
 * Held before the supervisor ends: a job that ends on its own is over for
 * Slurm.  The snapshot stays as it is.
 */
static int hold(const struct subject *s, const char *reason)
{
	const struct timespec pause = { .tv_sec = HOLD_PAUSE_S };
	struct err err = { 0 };
	int try, r;

	for (try = 0; try < HOLD_TRIES; try++) {
		r = slurm_hold_job(s->conf->libexec, s->info.slurm, reason,
				   &err);
		if (r == 0 || r == -ENOENT)
			break;
		log_error(s->id, "hold: %s", err.text);
		nanosleep(&pause, NULL);
	}
	return r;
}

static int restore(struct subject *s, struct err *err)
{
	const struct restore p = {
		.job_id = s->id,
		.generation = s->info.generation,
		.info = &s->info,
	};
	const struct worker_hooks hooks = { .phase = subject_log_phase,
					    .arg = s };
	Reply *reply = NULL;
	int r = restore_job(s->conf, &p, &hooks, &reply, err);

	if (!reply)
		return r;
	if (reply->result < 0)
		r = err_set(err, reply->result, "%s",
			    reply->text ? reply->text : "failed");
	else if (reply->outcome)
		subject_log_outcome(s, "restore", NULL, reply->outcome);
	reply__free_unpacked(reply, NULL);
	return r;
}

int revive_job(const struct conf *conf, const char *job_id)
{
	char reason[ERR_TEXT_SIZE + 64];
	struct err err = { 0 };
	struct subject s;
	int r = subject_open(conf, job_id, CONTROL_RESTORING, &s, &err);

	if (r < 0)
		return 0;
	r = restore(&s, &err);
	if (r < 0) {
		snprintf(reason, sizeof(reason),
			 "jobcr: restore of snapshot "
			 "%u on %s: %s",
			 s.info.generation, conf->node, err.text);
		subject_note(&s, "held", s.info.generation, "held: %s", reason);
		(void)hold(&s, reason);
		(void)subject_tell(&s, CONTROL_ABORT, operation_exit_status(r),
				   &err);
	}
	subject_done(&s);
	return r < 0;
}
