/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the launch of a job waits for: what does it go on from? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/fence.h"
#include "daemon/mounted.h"
#include "daemon/retire.h"
#include "daemon/server.h"
#include "daemon/slurm.h"
#include "storage/attempts.h"
#include "storage/next.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/ask.h"

/* Not one that could not be restored, where OnRestoreFailure says so. */
static int choose(int job_fd, const struct user_id *user, uint32_t *ret,
		  struct err *err)
{
	struct attempts before;
	int r = attempts_read(job_fd, user, &before, err);

	return r < 0 ? r : attempts_choose(job_fd, user, &before, ret, err);
}

static void still_waits(void *arg)
{
	ask_waits(*(int *)arg);
}

/*
 * What was asked for counts until there is a newer snapshot.  Otherwise one
 * that Slurm has never started can have left none: numbers of jobs begin again
 * when a controller loses its state.
 */
static int pick(const struct slurm_job *job, const char *id, int job_fd,
		const struct user_id *user, const struct next_start *next,
		uint32_t newest, uint32_t *ret, struct err *err)
{
	if (next->generation && newest == next->over &&
	    (job->restarts || next->submitted == job->submit_time)) {
		*ret = next->generation;
		return 0;
	}
	if (job->restarts)
		return newest ? choose(job_fd, user, ret, err) : 0;
	if (newest)
		log_warning(id, "the snapshot in the store is of an earlier "
				"job of that number: not used");
	return 0;
}

/*
 * All that there is of the job may still come, when that node does.  Its
 * beginning would be a run that makes it worthless.
 */
static int check_left_behind(const struct conf *conf, const char *id,
			     int job_fd, const struct user_id *user,
			     struct err *err)
{
	struct slurm_job job;
	char node[64];
	uint32_t n = store_left_behind(job_fd, 0, user, node);
	int r;

	if (!n)
		return 0;
	r = slurm_query_id(conf->libexec, id, &job, err);
	if (r < 0 || !job.restarts)
		return r;
	if (!strcmp(node, conf->node) && mounted_fast(conf)) {
		log_warning(id,
			    "generation %u is gone from the fast directory of "
			    "this node, and did not get to the store",
			    n);
		return 0;
	}
	return err_set(err, -EAGAIN,
		       "its only snapshot, %u, if it was ended, is still on "
		       "node %s (FastDir), which is away or not mounted: bring "
		       "it back, or jobcr delete %s --force",
		       n, node, id);
}

/* One of another node's, which is lost if this run begins before it is there.
 */
static void await_flush(const struct conf *conf, const char *id, int job_fd,
			const struct user_id *user, int *fd)
{
	struct slurm_job job;
	struct err unused;
	uint32_t newest = 0;
	char node[64];

	(void)store_newest(job_fd, user, &newest, &unused);
	if (store_left_behind(job_fd, newest, user, node) &&
	    slurm_query_id(conf->libexec, id, &job, &unused) == 0 &&
	    job.restarts)
		flush_await_others(conf, id, job_fd, user, still_waits, fd);
}

/* Of a job with a directory in the store; 0: it starts from its beginning. */
static int find_generation(const struct conf *conf, const char *id, int job_fd,
			   const struct user_id *user, int *fd, uint32_t *ret,
			   struct err *err)
{
	struct next_start next = { 0 };
	struct slurm_job job;
	uint32_t newest = 0;
	int r;

	r = next_read(job_fd, user, &next, err);
	if (r < 0 && r != -ENOENT)
		return r;
	await_flush(conf, id, job_fd, user, fd);
	r = store_newest(job_fd, user, &newest, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!newest && !next.generation)
		return check_left_behind(conf, id, job_fd, user, err);
	r = slurm_query_id(conf->libexec, id, &job, err);
	return r < 0 ? r
		     : pick(&job, id, job_fd, user, &next, newest, ret, err);
}

static int find_snapshot(const struct conf *conf, const struct ask_question *q,
			 int *fd, uint32_t *ret, struct err *err)
{
	auto_close int job_fd = -EBADF;
	struct user_id user = { 0 };
	struct stat st;
	int r = control_check_id(q->job_id, err);

	*ret = 0;
	/* A store that is away is not an empty one. */
	if (r == 0 && stat(conf->store_dir, &st) < 0)
		r = err_set(err, -EIO, "%s: %s", conf->store_dir,
			    strerror(errno));
	if (r == 0)
		r = user_id_load(q->uid, q->gid, &user, err);
	if (r < 0)
		return r;
	r = retire_spare(conf, q->job_id, q->uid, q->gid, err);
	if (r == 0)
		r = store_open_job(conf->store_dir, conf->cluster, q->job_id,
				   false, &user, &job_fd, err);
	if (r == 0)
		r = find_generation(conf, q->job_id, job_fd, &user, fd, ret,
				    err);
	else if (r == -ENOENT)
		r = mounted_check(conf, q->job_id, &user, err);
	user_id_done(&user);
	return r;
}

/* After the answer: a store that is slow is not to delay the launch. */
static void note_start(const struct conf *conf, const struct ask_question *q,
		       uint32_t generation)
{
	struct control_info info = { .uid = q->uid, .gid = q->gid };

	snprintf(info.job_id, sizeof(info.job_id), "%s", q->job_id);
	if (generation)
		event_note(conf, &info, "started", generation,
			   "starts from snapshot %u", generation);
	else
		event_note(conf, &info, "started", 0, "starts");
}

/* A run that begins at its beginning takes its lease before it begins. */
static int answer(const struct conf *conf, const struct ask_question *q, int fd,
		  uint32_t *ret, struct err *err)
{
	const struct fence_owner owner = { .job_id = q->job_id,
					   .uid = q->uid,
					   .gid = q->gid,
					   .waits = still_waits,
					   .arg = &fd };
	int r = find_snapshot(conf, q, &fd, ret, err);

	return r < 0 || *ret ? r : fence_launch(conf, &owner, err);
}

int serve_ask(const struct conf *conf, const struct ask_question *question,
	      int fd)
{
	uint32_t generation = 0;
	struct err err = { 0 };
	int r = answer(conf, question, fd, &generation, &err);

	if (r < 0)
		log_error(question->job_id, "is there a snapshot? %s",
			  err.text);
	ask_reply(fd, r < 0 ? r : 0, generation, err.text);
	if (r == 0)
		note_start(conf, question, generation);
	return r < 0;
}
