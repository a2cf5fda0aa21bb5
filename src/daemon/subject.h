/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_SUBJECT_H
#define JOBCR_DAEMON_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "daemon/event.h"
#include "src/wire/request.pb-c.h"
#include "util/err.h"
#include "wire/control.h"

/*
 * One job of Slurm's on this node, in the hands of one child of jobcrd: the
 * lock keeps every other one away.
 */
struct subject {
	const struct conf *conf;
	struct control_info info;
	const char *id;
	int lock_fd;
	int control_fd; /* held back are signals while it is open */
};

/*
 * -EBUSY: another child has this job.  -ESRCH, -ENOENT: not a job of ours, or
 * not in that state.
 */
int subject_open(const struct conf *conf, const char *job_id,
		 enum control_state state, struct subject *ret,
		 struct err *err);

/* As subject_open; but who saves the job so that it goes on gives way. */
int subject_open_first(const struct conf *conf, const char *job_id,
		       enum control_state state, struct subject *ret,
		       struct err *err);

/* A local job, too: it can only go on (CUT_GO_ON). */
int subject_open_any(const struct conf *conf, const char *job_id,
		     enum control_state state, struct subject *ret,
		     struct err *err);
void subject_done(struct subject *s);

/* One request to its supervisor. */
int subject_tell(const struct subject *s, uint32_t op, int64_t a,
		 struct err *err);

/* Something happened to the job: see event.h. */
#define subject_note(s, ...) event_note((s)->conf, &(s)->info, __VA_ARGS__)

/*
 * Requeue and hold it, with the reason where "scontrol show job" has it;
 * tries for minutes.  -ENOENT: Slurm does not know it any more; -ECANCELED: it
 * was cancelled.
 */
int subject_hold(const struct subject *s, const char *reason);

/* JobComment: "jobcr: ..." in its AdminComment, unless others use that. */
void subject_comment(const struct subject *s, const char *text);

/*
 * What a worker's reply says, into the log; an outcome is an event.  cause:
 * of a checkpoint, else NULL.
 */
void subject_log_refusals(const struct subject *s, const Reply *reply);

/* The first of them with its remedy, on one line; "" when there is none. */
void subject_say_refusal(const Reply *reply, char *ret, size_t room);
void subject_log_outcome(const struct subject *s, const char *what,
			 const char *cause, const Outcome *o);

/* For worker_hooks: arg is the subject. */
void subject_log_phase(void *arg, const char *phase);

/*
 * The newest snapshot in the store, by whatever run of the job; 0: none;
 * -ETIMEDOUT: the store does not answer, and there may be one: what is held
 * back from the job does not wait for it.
 */
int subject_newest(struct subject *s);

#endif
