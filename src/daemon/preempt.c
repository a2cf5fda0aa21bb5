/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/preempt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "daemon/slurm.h"
#include "operation/aside.h"
#include "operation/checkpoint.h"
#include "operation/operation.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/control.h"

/* Slurm's controller may be away for a moment, or for the night. */
#define HOLD_TRIES   60
#define HOLD_PAUSE_S 5

#define MIB (1024.0 * 1024.0)

/* One job of Slurm's on this node, and our hold on it. */
struct subject {
	const struct conf *conf;
	struct control_info info;
	const char *id;
	int lock_fd;
	int control_fd; /* held back are signals while it is open */
	bool requeued;
};

static void subject_done(struct subject *s)
{
	if (s->control_fd >= 0)
		close(s->control_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

/* -EBUSY: another child has this job. */
static int lock(struct subject *s, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/jobs/%s/lock", s->conf->run_dir,
		 s->id);
	s->lock_fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return err_sys(err, "%s", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, -EBUSY, "already at work")
			       : err_sys(err, "%s", path);
	return 0;
}

static int tell(const struct subject *s, uint32_t op, int64_t a,
		struct err *err)
{
	const struct control_request req = { .magic = CONTROL_MAGIC,
					     .op = op,
					     .a = a };
	struct control_reply reply;

	return control_call(s->control_fd, &req, &reply, NULL, err);
}

/* Negative: not a job of ours, or nothing to do for it. */
static int subject_open(const struct conf *conf, const char *job_id,
			enum control_state state, struct subject *ret,
			struct err *err)
{
	struct subject s = {
		.conf = conf, .id = job_id, .lock_fd = -1, .control_fd = -1
	};
	int r = control_read_info(conf->run_dir, job_id, &s.info, err);

	if (r == 0 && (!s.info.slurm || s.info.state != (uint32_t)state))
		r = err_set(err, -ESRCH, "nothing to do");
	if (r == 0)
		r = lock(&s, err);
	if (r == 0)
		r = control_connect(conf->run_dir, job_id, &s.control_fd, err);
	if (r < 0)
		subject_done(&s);
	else
		*ret = s;
	return r;
}

static void log_refusals(const struct subject *s, const Reply *reply)
{
	size_t i;

	for (i = 0; i < reply->n_refusals; i++) {
		const RefusalEntry *no = reply->refusals[i];

		log_warning(s->id, "pid %d (%s) fd %d: %s; %s", no->pid,
			    no->comm, no->fd, no->what, no->remedy);
	}
}

static double rate(uint64_t bytes, uint64_t ns)
{
	return ns ? (double)bytes / MIB * 1e9 / (double)ns : 0;
}

static void log_outcome(const struct subject *s, const char *what,
			const Outcome *o)
{
	char pause[64] = "";

	if (o->has_frozen_ns && o->frozen_ns)
		snprintf(pause, sizeof(pause), "stood still for %.0f ms, ",
			 (double)o->frozen_ns / 1e6);
	log_info(s->id,
		 "%s: generation %u, %u process%s with %u thread%s, %.1f MiB "
		 "at %.0f MiB/s, %s%.0f ms in all",
		 what, o->generation, o->tasks, o->tasks == 1 ? "" : "es",
		 o->threads, o->threads == 1 ? "" : "s",
		 (double)o->page_bytes / MIB, rate(o->page_bytes, o->pages_ns),
		 pause, (double)o->total_ns / 1e6);
}

/*
 * The snapshot is durable and the job frozen.  Back into the queue first:
 * a job that ends before would be over for Slurm.
 */
static bool requeue(void *arg, uint32_t generation)
{
	struct subject *s = arg;
	struct err err = { 0 };

	if (slurm_requeue_job(s->conf->libexec, s->info.slurm, &err) < 0) {
		log_error(s->id,
			  "snapshot %u is there, but: %s: the job goes "
			  "on",
			  generation, err.text);
		return false;
	}
	s->requeued = true;
	return true;
}

static void log_phase(void *arg, const char *phase)
{
	const struct subject *s = arg;

	log_debug(s->id, "%s", phase);
}

static int checkpoint(struct subject *s, struct err *err)
{
	const struct checkpoint c = {
		.info = &s->info,
		.cause = "preempt",
		.kill = true,
		.ask = true,
		.put_aside = true,
	};
	const struct worker_hooks hooks = {
		.phase = log_phase,
		.published = requeue,
		.arg = s,
	};
	Reply *reply = NULL;
	int r = tell(s, CONTROL_HOLD, 0, err);

	if (r == 0)
		r = checkpoint_job(s->conf, &c, &hooks, &reply, err);
	if (!reply)
		return r;
	log_refusals(s, reply);
	if (reply->result < 0)
		r = err_set(err, reply->result, "%s",
			    reply->text ? reply->text : "failed");
	else if (reply->outcome)
		log_outcome(s, "checkpoint", reply->outcome);
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

static void log_failure(const struct subject *s, const struct err *err)
{
	if (s->requeued)
		log_error(s->id, "%s", err->text);
	else
		log_error(s->id, "no checkpoint, the job goes on: %s",
			  err->text);
}

static int checkpoint_preempted(struct subject *s)
{
	struct err err = { 0 };
	int r;

	log_info(s->id, "preempted: checkpoint");
	r = checkpoint(s, &err);
	if (r < 0)
		log_failure(s, &err);
	if (!s->requeued) {
		outputs_back(s);
		return r;
	}
	r = slurm_start_job(s->conf->libexec, s->info.slurm, &err);
	if (r < 0)
		log_warning(s->id, "%s: it starts when Slurm lets it",
			    err.text);
	else
		log_info(s->id, "requeued, may start at once");
	return r;
}

/* Nobody knows why: better a SIGTERM too many than a job that ignores one. */
static void let_go(const struct subject *s)
{
	struct err unused;

	(void)tell(s, CONTROL_RELEASE, 0, &unused);
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
		log_warning(s.id, "preempted, but submitted with "
				  "--no-requeue: no checkpoint");
	else if (job.reason == SLURM_REASON_PREEMPT)
		r = checkpoint_preempted(&s);
	let_go(&s);
	subject_done(&s);
	return r < 0;
}

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
	const struct worker_hooks hooks = { .phase = log_phase, .arg = s };
	Reply *reply = NULL;
	int r = restore_job(s->conf, &p, &hooks, &reply, err);

	if (!reply)
		return r;
	if (reply->result < 0)
		r = err_set(err, reply->result, "%s",
			    reply->text ? reply->text : "failed");
	else if (reply->outcome)
		log_outcome(s, "restore", reply->outcome);
	reply__free_unpacked(reply, NULL);
	return r;
}

int preempt_restore(const struct conf *conf, const char *job_id)
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
		log_error(s.id, "held: %s", reason);
		(void)hold(&s, reason);
		(void)tell(&s, CONTROL_ABORT, operation_exit_status(r), &err);
	}
	subject_done(&s);
	return r < 0;
}
