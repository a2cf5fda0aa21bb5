/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/flush.h"
#include "daemon/event.h"
#include "daemon/writers.h"
#include "kernel/mounted_below.h"
#include "operation/launch.h"
#include "operation/worker.h"
#include "storage/store.h"
#include "storage/tier_dir.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/record.h"

/* A job that has left this node may be back soon, and restored from here. */
#define AWAY_S         600
#define TIDY_OLDER_S   UINT_MAX /* only what is this node's */
#define AWAIT_PAUSE_NS 100000000

/*
 * A writer's place is another's turn after so long, and when nothing was heard
 * for so long; who waits for one looks often enough to find it meanwhile.
 */
#define WRITER_TURN   (30 * NSEC_PER_SEC)
#define WRITER_IDLE   (30 * NSEC_PER_SEC)
#define WRITER_WAIT_S 1

/* A job's directory in FastDir; its owner is the job's user. */
struct flush {
	const struct conf *conf;
	const char *cluster;
	struct control_info info; /* as far as the directory tells */
	struct user_id user;
	int fast_fd;
	time_t changed;
	struct record_flush state;
	int slot;          /* of MaxWriters; -1: none */
	uint64_t slot_ns;  /* since when */
	uint64_t heard_ns; /* when it came on last */
	bool stalled;
};

static void done(struct flush *f)
{
	if (f->fast_fd >= 0)
		close(f->fast_fd);
	user_id_done(&f->user);
}

static int open_job(const struct conf *conf, const char *cluster,
		    const char *job, struct flush *ret, struct err *err)
{
	struct flush f = {
		.conf = conf, .cluster = cluster, .fast_fd = -1, .slot = -1
	};
	char path[PATH_MAX];
	struct stat st;
	int r = control_check_id(job, err);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s/%s", conf->fast_dir, cluster,
		       job);
	if (lstat(path, &st) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s: not a directory", path);
	f.changed = st.st_mtime;
	snprintf(f.info.job_id, sizeof(f.info.job_id), "%.*s", JOB_ID_MAX - 1,
		 job);
	r = user_id_of_file(&st, &f.user, err);
	f.info.uid = f.user.uid;
	f.info.gid = f.user.gid;
	if (r == 0)
		r = tier_dir_open(conf->fast_dir, cluster, job, false, &f.user,
				  &f.fast_fd, err);
	if (r < 0)
		done(&f);
	else
		*ret = f;
	return r;
}

/* For jobcr status, as long as the job is here. */
static void write_state(struct flush *f)
{
	struct err unused;

	(void)record_write(f->conf->run_dir, f->info.job_id, RECORD_FLUSH,
			   &f->state, sizeof(f->state), &unused);
}

static void tell_progress(void *arg, uint64_t bytes, uint64_t total)
{
	struct flush *f = arg;

	f->state.done = bytes;
	f->state.total = total;
	f->heard_ns = clock_monotonic_ns();
	write_state(f);
}

static void say_damaged(const struct flush *f, const Outcome *o)
{
	for (size_t i = 0; i < o->n_damaged; i++)
		event_note(f->conf, &f->info, "warning", f->state.generation,
			   "in the store %s; generation %u has that file anew",
			   o->damaged[i], f->state.generation);
}

static void say_done(const struct flush *f, const Outcome *o)
{
	if (o->dropped && strncmp(o->dropped, "damaged", 7) == 0)
		event_note(f->conf, &f->info, "failed", f->state.generation,
			   "generation %u did not get from the fast directory "
			   "to the store: %s",
			   f->state.generation, o->dropped);
	else if (o->dropped)
		log_info(f->info.job_id,
			 "generation %u is removed from the fast directory: %s",
			 f->state.generation, o->dropped);
	else if (o->has_total_ns) {
		say_damaged(f, o);
		event_note(f->conf, &f->info, "flushed", f->state.generation,
			   "generation %u is in the store: %.1f MiB copied in "
			   "%.1f s",
			   f->state.generation,
			   (double)o->page_bytes / 1048576.0,
			   (double)o->total_ns / 1e9);
	}
	record_remove(f->conf->run_dir, f->info.job_id, RECORD_FLUSH);
}

/* Once: it is tried again and again. */
static void say_failed(struct flush *f, const char *text)
{
	struct record_flush before;
	struct err unused;

	(void)record_read(f->conf->run_dir, f->info.job_id, RECORD_FLUSH,
			  &before, sizeof(before), &unused);
	if (before.generation != f->state.generation ||
	    strncmp(before.failed, text, sizeof(before.failed) - 1) != 0)
		log_warning(f->info.job_id,
			    "generation %u stays in the fast directory for "
			    "now: %s",
			    f->state.generation, text);
	snprintf(f->state.failed, sizeof(f->state.failed), "%.*s",
		 (int)sizeof(f->state.failed) - 1, text);
	write_state(f);
}

/* Nobody else was faster. */
static bool still_pending(void *arg)
{
	const struct flush *f = arg;
	uint32_t generation = 0;
	struct err unused;

	return tier_dir_pending(f->fast_fd, &f->user, &generation, &unused) ==
		       0 &&
	       generation == f->state.generation;
}

static void leave_writers(struct flush *f)
{
	if (f->slot >= 0)
		close(f->slot);
	f->slot = -1;
}

static int enter_writers(struct flush *f, struct err *err)
{
	int r = writers_enter(f->conf, f->info.job_id, still_pending, f,
			      &f->slot, err);

	f->slot_ns = f->heard_ns = clock_monotonic_ns();
	return r;
}

/* The worker waits for the answer. */
static bool take_turn(void *arg)
{
	const struct timespec pause = { .tv_sec = WRITER_WAIT_S };
	struct flush *f = arg;
	struct err unused;

	if (!f->conf->max_writers ||
	    clock_monotonic_ns() - f->slot_ns < WRITER_TURN)
		return true;
	leave_writers(f);
	nanosleep(&pause, NULL);
	(void)enter_writers(f, &unused);
	return true;
}

/*
 * No deadline but for a copy that does not come on: a store that is slow is no
 * reason to begin anew.
 */
static bool is_patient(void *arg)
{
	struct flush *f = arg;
	uint64_t still = clock_monotonic_ns() - f->heard_ns;

	if (still >= WRITER_IDLE && f->slot >= 0) {
		leave_writers(f);
		f->slot_ns = 0;
	}
	f->stalled = still >= f->conf->timeout_s * NSEC_PER_SEC;
	return !f->stalled;
}

static int run_worker(struct flush *f, const WorkerRequest *w, Reply **ret,
		      struct err *err)
{
	const struct worker_hooks hooks = { .progress = tell_progress,
					    .proceed = take_turn,
					    .idle = is_patient,
					    .arg = f };
	int r;

	if (enter_writers(f, err) == -ECANCELED)
		return -EBUSY;
	r = worker_run(f->conf, w, &hooks, ret, err);
	leave_writers(f);
	return r < 0 && f->stalled ? err_wrap(err, r, "no progress for %u s",
					      f->conf->timeout_s)
				   : r;
}

static int run(struct flush *f, Reply **ret, struct err *err)
{
	const struct conf *conf = f->conf;
	WorkerRequest w = WORKER_REQUEST__INIT;

	w.op = WORKER_REQUEST__OPERATION__FLUSH;
	w.job_id = f->info.job_id;
	w.node = conf->node;
	w.cluster = (char *)f->cluster;
	w.store = conf->store_dir;
	w.fast = conf->fast_dir;
	w.uid = f->info.uid;
	w.gid = f->info.gid;
	w.run_dir = conf->run_dir;
	w.has_generation = w.has_keep = w.has_no_direct = 1;
	w.generation = f->state.generation;
	w.keep = conf->keep;
	w.no_direct = !conf->direct_io;
	w.has_max_bandwidth = conf->max_bandwidth != 0;
	w.max_bandwidth = conf->max_bandwidth;
	return run_worker(f, &w, ret, err);
}

/* 0: done, or somebody else is at it. */
static int flush_one(struct flush *f, uint32_t generation)
{
	struct err err = { 0 }, unused;
	Reply *reply = NULL;
	int r;

	(void)record_read(f->conf->run_dir, f->info.job_id, RECORD_FLUSH,
			  &f->state, sizeof(f->state), &unused);
	if (f->state.generation != generation)
		f->state = (struct record_flush){ .generation = generation };
	f->state.done = 0;
	write_state(f);
	r = run(f, &reply, &err);
	if (r == 0)
		r = reply->result;
	if (r < 0 && r != -EBUSY)
		say_failed(f, reply && reply->text ? reply->text : err.text);
	else if (r == 0 && reply->outcome)
		say_done(f, reply->outcome);
	if (reply)
		reply__free_unpacked(reply, NULL);
	return r == -EBUSY ? 0 : r;
}

static bool is_crowded(const struct flush *f)
{
	struct statvfs st;

	return fstatvfs(f->fast_fd, &st) == 0 && st.f_bavail < st.f_blocks / 2;
}

static bool is_here(const struct flush *f)
{
	struct control_info info;
	struct err unused;

	return control_read_info(f->conf->run_dir, f->info.job_id, &info,
				 &unused) == 0 &&
	       info.state != CONTROL_ENDED && info.state != CONTROL_LEFT;
}

/* The one that may be restored from: is it in the store still? */
static void tidy_one(const struct flush *f, int job_fd, uint32_t generation)
{
	enum tier_state state;
	struct err err = { 0 };
	int r = tier_dir_look(f->fast_fd, job_fd, generation, &f->user, &state,
			      &err);

	if (r == 0 && state == TIER_UNWANTED)
		r = store_remove(f->fast_fd, generation, &f->user, &err);
	if (r < 0)
		log_debug(f->info.job_id, "%s", err.text);
}

static void tidy_job(struct flush *f)
{
	bool away = !is_here(f) &&
		    (time(NULL) - f->changed > AWAY_S || is_crowded(f));
	auto_free struct store_generation *all = NULL;
	auto_close int job_fd = -EBADF;
	unsigned int removed = 0;
	struct err unused;
	size_t count = 0;

	(void)tier_dir_trim(f->fast_fd, away, &f->user, &unused);
	if (store_open_job(f->conf->store_dir, f->cluster, f->info.job_id,
			   false, &f->user, &job_fd, &unused) < 0 ||
	    store_list(f->fast_fd, &f->user, &all, &count, &unused) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (all[i].complete && !*all[i].fast_node)
			tidy_one(f, job_fd, all[i].number);
	/* What a worker that was killed has left there and here. */
	(void)store_tidy(job_fd, f->conf->node, TIDY_OLDER_S, &f->user,
			 &removed, &unused);
	/* Not where something was begun meanwhile: then it is not empty. */
	if (away && !count)
		(void)store_remove_job(f->conf->fast_dir, f->cluster,
				       f->info.job_id, &f->user, &unused);
}

/*
 * Who owns the job's directory could have mounted there what does not answer.
 * What comes after this look is a worker's to find, or ends with its child.
 */
static int check_mounts(const struct conf *conf, const char *cluster,
			const char *job)
{
	char path[PATH_MAX];
	struct err err = { 0 }, unused;
	struct flush f = { .conf = conf };
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", conf->fast_dir, cluster,
		       job);
	r = mounted_below(path, &err);
	if (r == 0)
		return 0;
	snprintf(f.info.job_id, sizeof(f.info.job_id), "%.*s", JOB_ID_MAX - 1,
		 job);
	(void)record_read(conf->run_dir, job, RECORD_FLUSH, &f.state,
			  sizeof(f.state), &unused);
	say_failed(&f, err.text);
	return r;
}

enum flush_result flush_job(const struct conf *conf, const char *cluster,
			    const char *job, bool tidy, unsigned int look_s)
{
	uint32_t generation = 0;
	struct err err = { 0 };
	struct flush f;
	int r;

	alarm(look_s);
	if (check_mounts(conf, cluster, job) < 0)
		return FLUSH_FAILED;
	/* Files that are no job's. */
	if (open_job(conf, cluster, job, &f, &err) < 0)
		return FLUSH_NOTHING;
	r = tier_dir_pending(f.fast_fd, &f.user, &generation, &err);
	if (r < 0)
		log_warning(job, "%s", err.text);
	alarm(generation ? 0 : look_s);
	if (generation)
		r = flush_one(&f, generation);
	else if (r == 0)
		record_remove(conf->run_dir, f.info.job_id, RECORD_FLUSH);
	if (r == 0 && !generation && tidy)
		tidy_job(&f);
	done(&f);
	if (r < 0)
		return FLUSH_FAILED;
	return generation ? FLUSH_AGAIN : FLUSH_NOTHING;
}

void flush_beat(const struct conf *conf, const char *cluster, const char *job,
		unsigned int limit_s)
{
	auto_close int job_fd = -EBADF;
	uint32_t generation = 0;
	struct err unused;
	struct flush f;

	alarm(limit_s);
	if (open_job(conf, cluster, job, &f, &unused) < 0)
		return;
	if (tier_dir_pending(f.fast_fd, &f.user, &generation, &unused) == 0 &&
	    generation &&
	    store_open_job(conf->store_dir, cluster, job, false, &f.user,
			   &job_fd, &unused) == 0)
		(void)tier_beat(job_fd, generation, &f.user, &unused);
	done(&f);
}

static bool is_pending(const struct conf *conf, const char *job_id)
{
	uint32_t generation = 0;
	struct err unused;
	struct flush f;

	if (open_job(conf, conf->cluster, job_id, &f, &unused) < 0)
		return false;
	(void)tier_dir_pending(f.fast_fd, &f.user, &generation, &unused);
	done(&f);
	return generation != 0;
}

void flush_await(const struct conf *conf, const char *job_id)
{
	const struct timespec pause = { .tv_nsec = AWAIT_PAUSE_NS };
	uint64_t give_up =
		clock_monotonic_ns() + conf->timeout_s * NSEC_PER_SEC;

	while (conf->fast_dir && is_pending(conf, job_id) &&
	       flush_job(conf, conf->cluster, job_id, false, 0) !=
		       FLUSH_FAILED &&
	       clock_monotonic_ns() < give_up)
		/* Another child may be at it. */
		nanosleep(&pause, NULL);
}
