/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/revive.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "daemon/fence.h"
#include "daemon/guard.h"
#include "daemon/slurm.h"
#include "daemon/subject.h"
#include "operation/apart.h"
#include "operation/aside.h"
#include "operation/checkpoint.h"
#include "storage/attempts.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"

/* One restore, and what is known of those before it. */
struct revival {
	struct subject s;
	struct user_id user;
	int job_fd; /* the job's directory in the store; -1: not to be had */
	struct attempts before;
};

static int read_book(void *arg, struct err *err)
{
	struct revival *v = arg;
	const struct subject *s = &v->s;
	int r = user_id_load(s->info.uid, s->info.gid, &v->user, err);

	if (r == 0)
		r = store_open_job(s->conf->store_dir, s->conf->cluster, s->id,
				   false, &v->user, &v->job_fd, err);
	return r < 0 ? r : attempts_read(v->job_fd, &v->user, &v->before, err);
}

/* Without the book a restore is tried all the same. */
static void open_book(struct revival *v)
{
	const struct subject *s = &v->s;
	const struct apart apart = { .conf = s->conf,
				     .uid = s->info.uid,
				     .peer_fd = -1 };
	struct err err = { 0 };
	int r = apart_look(&apart, read_book, v, &err);

	if (r < 0)
		log_warning(s->id, "how often it was restored is not known: %s",
			    err.text);
}

/* That the job goes on from an older one has a reason. */
static void say_left_behind(const struct revival *v)
{
	const struct subject *s = &v->s;
	char node[64];
	uint32_t n = v->job_fd < 0
			     ? 0
			     : store_left_behind(v->job_fd, s->info.generation,
						 &v->user, node);

	if (n)
		subject_note(s, "warning", n,
			     "generation %u did not get from the fast "
			     "directory of %s to the store: it goes on from "
			     "generation %u",
			     n, node, s->info.generation);
}

static int write_book(const struct revival *v, struct err *err)
{
	if (v->job_fd < 0)
		return err_set(err, -EIO, "its store cannot be reached");
	return attempts_write(v->job_fd, &v->user, &v->before, err);
}

static void close_book(struct revival *v)
{
	if (v->job_fd >= 0)
		close(v->job_fd);
	user_id_done(&v->user);
}

/* -ELOOP: more often than RestoreLimit says, and never got any further. */
static int count(struct revival *v, struct err *err)
{
	struct attempts *a = &v->before;
	unsigned int limit = v->s.conf->restore_limit;
	uint32_t generation = v->s.info.generation;
	struct err unused;

	if (a->generation != generation)
		a->count = 0;
	a->generation = generation;
	if (limit && a->count >= limit)
		return err_set(err, -ELOOP,
			       "it was restored from it %u times and ended "
			       "each time before a newer snapshot was made",
			       a->count);
	a->count++;
	(void)write_book(v, &unused);
	return 0;
}

/* Released, everything is tried again. */
static void forget(struct revival *v)
{
	struct err unused;

	v->before.bad_from = v->before.bad_to = v->before.count = 0;
	(void)write_book(v, &unused);
}

/* The run before this one must be over: none of its processes runs. */
static int take_lease(struct subject *s, struct err *err)
{
	const struct fence_owner owner = { .job_id = s->id,
					   .uid = s->info.uid,
					   .gid = s->info.gid };

	return fence_restore(s->conf, &owner, s->info.init_pid,
			     &s->info.generation, err);
}

static void say_restored(const struct subject *s, const Outcome *o)
{
	subject_log_outcome(s, "restore", NULL, o);
	if (o->has_put_back && o->put_back)
		subject_note(s, "output", o->generation,
			     "%llu bytes of output were put back",
			     (unsigned long long)o->put_back);
	if (o->copied)
		subject_note(s, "files", o->generation, "%s%s", OUTCOME_COPIED,
			     o->copied);
	if (o->aside)
		subject_note(s, "files", o->generation, "%s%s", OUTCOME_ASIDE,
			     o->aside);
	if (o->moved)
		subject_note(s, "moved", o->generation, "%s%s", OUTCOME_MOVED,
			     o->moved);
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
		say_restored(s, reply->outcome);
	reply__free_unpacked(reply, NULL);
	return r;
}

/*
 * Which snapshot may be next, as OnRestoreFailure says: mark those that it
 * must not be.  False: none, or it cannot be noted.
 */
static bool try_another(struct revival *v)
{
	enum conf_failure policy = v->s.conf->on_restore_failure;
	struct attempts *a = &v->before;
	uint32_t failed = v->s.info.generation, next = 0;
	struct err err = { 0 };
	int r;

	if (policy == CONF_FAILURE_HOLD)
		return false;
	/* Downwards from the newest that failed. */
	if (!a->bad_from || failed > a->bad_from)
		a->bad_to = failed;
	a->bad_from = policy == CONF_FAILURE_RESTART ? 1 : failed;
	r = v->job_fd < 0
		    ? err_set(&err, -EIO, "its store cannot be reached")
		    : attempts_choose(v->job_fd, &v->user, a, &next, &err);
	if (r == 0 && (next || policy == CONF_FAILURE_RESTART))
		r = write_book(v, &err);
	else if (r == 0)
		return false;
	if (r < 0) {
		log_error(v->s.id, "OnRestoreFailure: %s", err.text);
		return false;
	}
	subject_note(&v->s, "again", next,
		     next ? "requeued, to go on from generation %u"
			  : "requeued, to start from its beginning",
		     next);
	return true;
}

/*
 * Slurm ends the job for a reason of its own: it needs nothing of us.  When it
 * does not start again, what it had written so far is all there will be.
 */
static bool is_over(const struct subject *s)
{
	struct slurm_job job = { 0 };
	struct err err = { 0 };
	int r = slurm_query(s->conf->libexec, s->info.slurm, &job, &err);

	if (r < 0 && r != -ENOENT)
		return false;
	if (r == 0 && (job.reason == SLURM_REASON_NONE ||
		       job.reason == SLURM_REASON_PREEMPT))
		return false;
	if (!job.pending && aside_take_back_outputs(&s->info, &err) < 0)
		log_warning(s->id, "%s", err.text);
	return true;
}

/*
 * Requeued before the supervisor ends: a job that ends on its own is over for
 * Slurm.  The snapshot stays as it is.
 */
static void fail(struct revival *v, int result, const char *text)
{
	struct subject *s = &v->s;
	char reason[ERR_TEXT_SIZE + 128];
	struct err err = { 0 };
	bool again;

	snprintf(reason, sizeof(reason),
		 "jobcr: restore of snapshot %u on %s: %s", s->info.generation,
		 s->conf->node, text);
	/* Held, it would be the start that came after this one that ends. */
	if (result == -EKEYREVOKED) {
		subject_note(s, "lost", s->info.generation, "%s", text);
		(void)subject_tell(s, CONTROL_ABORT,
				   operation_exit_status(result), &err);
		return;
	}
	if (is_over(s)) {
		log_info(s->id, "ended during a restore: %s", reason);
		return;
	}
	subject_note(s, "failed", s->info.generation, "%s", reason);
	/* That munge does not answer is no fault of the snapshot's. */
	again = result != -ENOKEY && try_another(v) &&
		slurm_requeue_job(s->conf->libexec, s->info.slurm, &err) == 0;
	if (!again) {
		subject_note(s, "held", s->info.generation, "held: %s", reason);
		forget(v);
		(void)subject_hold(s, reason);
	}
	(void)subject_tell(s, CONTROL_ABORT, operation_exit_status(result),
			   &err);
	/* It ends when nobody guards it any more. */
	close(s->control_fd);
	s->control_fd = -1;
	if (again && slurm_start_job(s->conf->libexec, s->info.slurm, &err) < 0)
		log_warning(s->id, "%s: it starts when Slurm lets it",
			    err.text);
}

static void tell_comment(const struct subject *s)
{
	char text[256], at[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(at, sizeof(at), "%Y-%m-%dT%H:%M", &tm);
	snprintf(text, sizeof(text),
		 "jobcr: goes on from generation %u since "
		 "%s on %.64s",
		 s->info.generation, at, s->conf->node);
	subject_comment(s, text);
}

/* Nobody may lie in wait for the job: a checkpoint may be due at once. */
static void look_after(struct revival *v)
{
	struct subject *s = &v->s;

	close(s->lock_fd);
	s->lock_fd = -1;
	tell_comment(s);
	if (guard_job(s, v->before.died == s->info.generation) != GUARD_HELD)
		return;
	v->before.died = s->info.generation;
	forget(v);
}

int revive_job(const struct conf *conf, const char *job_id)
{
	struct revival v = { .job_fd = -1 };
	struct err err = { 0 };
	int r = subject_open(conf, job_id, CONTROL_RESTORING, &v.s, &err);

	if (r < 0)
		return 0;
	r = take_lease(&v.s, &err);
	open_book(&v);
	if (r == 0) {
		say_left_behind(&v);
		r = count(&v, &err);
	}
	if (r == 0)
		r = guard_begin(&v.s, &err);
	if (r == 0)
		r = restore(&v.s, &err);
	if (r < 0)
		fail(&v, r, err.text);
	else
		look_after(&v);
	close_book(&v);
	subject_done(&v.s);
	return r < 0;
}
