/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/resubmit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kept.h"
#include "daemon/slurm.h"
#include "operation/launch.h"
#include "operation/parts.h"
#include "storage/ended.h"
#include "storage/next.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "wire/record.h"

/* A job that is to go on. */
struct revival {
	const struct operation *op;
	const char *id;
	uint32_t slurm;
	uint32_t generation, newest;
	struct user_id owner;
	int fd; /* its directory in the store */
	char new_id[JOB_ID_MAX];
};

static int keep(void *arg, struct err *err)
{
	const struct subject *s = arg;
	auto_close int fd = -EBADF;
	struct user_id user;
	int r = user_id_load(s->info.uid, s->info.gid, &user, err);

	if (r < 0)
		return r;
	r = store_open_job(s->conf->store_dir, s->conf->cluster, s->id, true,
			   &user, &fd, err);
	if (r == 0)
		r = kept_write(s, &user, fd, err);
	user_id_done(&user);
	return r;
}

void resubmit_keep(struct subject *s)
{
	const struct apart apart = { .conf = s->conf,
				     .uid = s->info.uid,
				     .peer_fd = -1 };
	struct record_kept kept;
	struct err err = { 0 }, unused;
	int r;

	if (!s->info.slurm || record_read(s->conf->run_dir, s->id, RECORD_KEPT,
					  &kept, sizeof(kept), &unused) == 0)
		return;
	r = apart_run(&apart, keep, s, &err);
	if (r < 0)
		log_warning(s->id, "how it was submitted is not kept: %s",
			    err.text);
	else
		(void)record_write(s->conf->run_dir, s->id, RECORD_KEPT, &kept,
				   sizeof(kept), &unused);
}

bool resubmit_wanted(const Request *req)
{
	return req->op == REQUEST__OPERATION__RESTORE && req->job_id &&
	       !req->dir && !launch_is_local(req->job_id);
}

static int find_generation(struct revival *v, struct err *err)
{
	const Request *req = v->op->req;
	auto_close int fd = -EBADF;
	int r;

	r = store_newest(v->fd, &v->owner, &v->newest, err);
	if (r == -ENOENT)
		return err_set(err, r, "job %s has no snapshot", v->id);
	v->generation = req->has_generation && req->generation ? req->generation
							       : v->newest;
	if (r == 0)
		r = store_open(v->fd, v->generation, &v->owner, &fd, err);
	return r == -ENOENT ? err_set(err, r, "job %s has no snapshot %u",
				      v->id, v->generation)
			    : r;
}

/* Its owner may what Slurm lets him; anybody else here may do more. */
static int let_start(const struct revival *v, const char *id, struct err *err)
{
	auto_free struct slurm_output *out = malloc(sizeof(*out));
	bool own = v->op->caller->uid == v->owner.uid;
	char uid[16], gid[16];

	if (!out)
		return err_num(err, ENOMEM, "jobcr-slurm");
	snprintf(uid, sizeof(uid), "%u", own ? v->owner.uid : 0);
	snprintf(gid, sizeof(gid), "%u", own ? v->owner.gid : 0);
	return slurm_run(v->op->conf->libexec,
			 (const char *[]){ "release", id, uid, gid, NULL }, out,
			 err);
}

/* What the job goes on from; over: its own newest generation. */
static int choose(const struct revival *v, int fd, uint32_t over,
		  uint64_t submitted, struct err *err)
{
	struct next_start next = { .generation = v->generation,
				   .over = over,
				   .submitted = submitted };

	snprintf(next.source, sizeof(next.source), "%s", v->id);
	return next_write(fd, &v->owner, &next, err);
}

/* In the queue already, most likely on hold. */
static int release(const struct revival *v, const struct slurm_job *job,
		   struct err *err)
{
	struct err unused;
	int r = choose(v, v->fd, v->newest, job->submit_time, err);

	if (r == 0)
		r = let_start(v, v->id, err);
	if (r == 0)
		(void)slurm_start_job(v->op->conf->libexec, v->slurm, &unused);
	return r;
}

/* What the job had written so far is emptied by Slurm when it starts. */
static int outputs_aside(const struct revival *v, const char *id,
			 struct err *err)
{
	return kept_outputs_aside(v->fd, &v->owner, id, err);
}

static int requeue(const struct revival *v, struct err *err)
{
	struct err unused;
	int r = outputs_aside(v, v->id, err);

	if (r == 0)
		r = choose(v, v->fd, v->newest, 0, err);
	if (r == 0)
		r = slurm_requeue_ended(v->op->conf->libexec, v->slurm, err);
	if (r == 0)
		(void)slurm_start_job(v->op->conf->libexec, v->slurm, &unused);
	return r;
}

static int submit(struct revival *v, struct err *err)
{
	auto_free struct slurm_output *out = malloc(sizeof(*out));
	const struct conf *conf = v->op->conf;
	char uid[16], gid[16], path[4096];

	if (!out)
		return err_num(err, ENOMEM, "submit");
	snprintf(uid, sizeof(uid), "%u", v->owner.uid);
	snprintf(gid, sizeof(gid), "%u", v->owner.gid);
	snprintf(path, sizeof(path), "%s/%s/%s", conf->store_dir, conf->cluster,
		 v->id);
	if (slurm_run(conf->libexec,
		      (const char *[]){ "submit", uid, gid, path, NULL }, out,
		      err) < 0)
		return err->code;
	return slurm_find(out, "job", v->new_id, sizeof(v->new_id), err);
}

/*
 * On hold until its directory leads to the snapshot: it must not start from
 * its beginning.
 */
static int submit_again(struct revival *v, struct err *err)
{
	const struct conf *conf = v->op->conf;
	auto_close int fd = -EBADF;
	struct slurm_job job;
	int r = submit(v, err);

	if (r < 0)
		return r;
	r = slurm_query(conf->libexec, (uint32_t)atol(v->new_id), &job, err);
	if (r == 0)
		r = store_open_job(conf->store_dir, conf->cluster, v->new_id,
				   true, &v->owner, &fd, err);
	if (r == 0)
		r = choose(v, fd, 0, job.submit_time, err);
	if (r == 0)
		r = outputs_aside(v, v->new_id, err);
	if (r == 0)
		r = let_start(v, v->new_id, err);
	return r < 0 ? err_wrap(err, r,
				"submitted again as job %s, which is held: "
				"scancel it",
				v->new_id)
		     : 0;
}

static int revive(struct revival *v, struct err *err)
{
	struct slurm_job job;
	int r = slurm_query(v->op->conf->libexec, v->slurm, &job, err);

	/* From here on its snapshots are needed again. */
	if (r == 0 || r == -ENOENT) {
		int cleared = ended_clear(v->fd, &v->owner, err);

		if (cleared < 0)
			return cleared;
	}
	if (r == -ENOENT)
		return submit_again(v, err);
	if (r < 0)
		return r;
	if (job.uid != v->owner.uid)
		return submit_again(v, err);
	if (job.completing)
		return err_set(err, -EBUSY,
			       "job %s is being ended: try again in a moment",
			       v->id);
	if (job.pending)
		return release(v, &job, err);
	if (job.running || job.suspended)
		return err_set(err, -EEXIST,
			       "job %s still runs: end it first (scancel %s)",
			       v->id, v->id);
	return job.requeue ? requeue(v, err) : submit_again(v, err);
}

static int open_revival(void *arg, struct err *err)
{
	struct revival *v = arg;
	int r = operation_open_job(v->op, false, &v->owner, &v->fd, err);

	return r < 0 ? r : find_generation(v, err);
}

static int carry_out(const struct operation *op, struct err *err)
{
	const struct apart apart = operation_apart(op);
	struct revival v = { .op = op, .id = op->req->job_id, .fd = -1 };
	Outcome outcome = OUTCOME__INIT;
	Reply reply = REPLY__INIT;
	uint64_t id;
	int r;

	if (parse_u64(v.id, UINT32_MAX - 1, &id) < 0)
		return err_set(err, -EINVAL,
			       "job %s: neither Slurm's nor a local one", v.id);
	v.slurm = (uint32_t)id;
	snprintf(v.new_id, sizeof(v.new_id), "%s", v.id);
	r = apart_look(&apart, open_revival, &v, err);
	if (r == 0)
		r = revive(&v, err);
	user_id_done(&v.owner);
	if (v.fd >= 0)
		close(v.fd);
	if (r < 0)
		return r;
	log_info(v.id, "to go on from generation %u as job %s, by uid %u",
		 v.generation, v.new_id, op->caller->uid);
	outcome.has_generation = 1;
	outcome.generation = v.generation;
	reply.outcome = &outcome;
	reply.job_id = v.new_id;
	return op->reply(op->arg, &reply);
}

int resubmit_job(const struct operation *op, struct err *err)
{
	int r = carry_out(op, err);

	if (r < 0)
		(void)operation_reply_error(op, r, err->text);
	return r;
}
