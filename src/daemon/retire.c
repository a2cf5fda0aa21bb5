/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/retire.h"

#include <errno.h>
#include <time.h>

#include "daemon/bounded.h"
#include "daemon/candidate.h"
#include "daemon/slurm.h"
#include "operation/apart.h"
#include "storage/ended.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "wire/writing.h"

/* slurmctld may be busy with the very end of this job. */
#define QUERY_TRIES 5

static int query(const struct conf *conf, const char *job_id,
		 struct slurm_job *ret, struct err *err)
{
	const struct timespec pause = { .tv_sec = 2 };
	uint64_t id;
	int try, r;

	if (parse_u64(job_id, UINT32_MAX, &id) < 0)
		return err_set(err, -EINVAL, "not a job of Slurm's");
	for (try = 0; try < QUERY_TRIES; try++) {
		r = slurm_query(conf->libexec, (uint32_t)id, ret, err);
		if (r == 0 || r == -ENOENT)
			break;
		nanosleep(&pause, NULL);
	}
	return r;
}

static bool is_due(const struct candidate *c, const char *state)
{
	return candidate_keep_s(c->conf, state) == 0 && !candidate_has_kept(c);
}

/* A job is over, and not marked yet. */
static int settle(const struct candidate *c, const char *state, struct err *err)
{
	int r = candidate_settle(c, state, err);

	return r == 0 && is_due(c, state) &&
			       !writing_put_off(c->conf->run_dir, c->name, true)
		       ? candidate_retire(c, err)
		       : r;
}

void retire_put_off(const struct conf *conf, const char *job_id)
{
	struct ended_mark mark;
	struct candidate c;
	struct err err;
	int r;

	if (candidate_open(conf, job_id, &c, &err) < 0)
		return;
	r = ended_read(c.job_fd, &c.user, &mark, &err);
	if (r == 0 && is_due(&c, mark.state))
		r = candidate_retire(&c, &err);
	if (r < 0 && r != -ENOENT)
		log_warning(job_id, "its snapshots stay: %s", err.text);
	candidate_done(&c);
}

/* Of a job that is over. */
struct over {
	const struct conf *conf;
	const char *job_id;
	struct slurm_job job;
};

/* Most jobs of a cluster have nothing in the store. */
static int look(void *arg, struct err *err)
{
	const struct over *over = arg;
	struct candidate c;
	int r = candidate_open(over->conf, over->job_id, &c, err);

	if (r == 0)
		candidate_done(&c);
	return r;
}

static int retire(void *arg, struct err *err)
{
	const struct over *over = arg;
	struct candidate c;
	int r = candidate_open(over->conf, over->job_id, &c, err);

	if (r < 0)
		return r;
	if (over->job.uid == c.user.uid)
		r = settle(&c, over->job.state, err);
	candidate_done(&c);
	return r;
}

int retire_ended(const struct conf *conf, const char *job_id)
{
	struct over over = { .conf = conf, .job_id = job_id };
	struct apart apart = { .conf = conf, .peer_fd = -1 };
	struct err err = { 0 };
	int r = apart_run(&apart, look, &over, &err);

	if (r < 0 && r != -ETIMEDOUT)
		return 0;
	if (r == 0)
		r = query(conf, job_id, &over.job, &err);
	apart.limit_s = BOUNDED_S;
	if (r == 0 && candidate_is_over(over.job.state))
		r = apart_run(&apart, retire, &over, &err);
	if (r < 0 && r != -ENOENT)
		log_warning(job_id,
			    "its snapshots stay, though it has ended: "
			    "%s; jobcr delete removes them",
			    err.text);
	return 0;
}

int retire_spare(const struct conf *conf, const char *job_id, uid_t uid,
		 gid_t gid, struct err *err)
{
	auto_close int job_fd = -EBADF;
	struct user_id user;
	int r = user_id_load(uid, gid, &user, err);

	if (r < 0)
		return r;
	r = store_open_job(conf->store_dir, conf->cluster, job_id, false, &user,
			   &job_fd, err);
	if (r == 0)
		r = ended_clear(job_fd, &user, err);
	if (r == -EBUSY) {
		/* Out of the way of what this run will write. */
		r = ended_retire(conf->store_dir, conf->cluster, job_id, &user,
				 err);
		if (r == 0)
			r = err_set(err, -ENOENT, "it has been retired");
		/* Not any more: one of its snapshots is to be kept. */
		else if (r == -EBUSY)
			r = ended_clear(job_fd, &user, err);
	}
	user_id_done(&user);
	return r;
}
