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

#include "daemon/event.h"
#include "daemon/server.h"
#include "daemon/writers.h"
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
#define AWAIT_PAUSE_NS 100000000

/* A job's directory in FastDir; its owner is the job's user. */
struct flush {
	const struct conf *conf;
	const char *cluster;
	struct control_info info; /* as far as the directory tells */
	struct user_id user;
	int fast_fd;
	time_t changed;
	struct record_flush state;
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
	struct flush f = { .conf = conf, .cluster = cluster, .fast_fd = -1 };
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
	write_state(f);
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
	else if (o->has_total_ns)
		event_note(f->conf, &f->info, "flushed", f->state.generation,
			   "generation %u is in the store: %.1f MiB copied in "
			   "%.1f s",
			   f->state.generation,
			   (double)o->page_bytes / 1048576.0,
			   (double)o->total_ns / 1e9);
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

/* No deadline: a store that is slow is no reason to begin anew. */
static int run(struct flush *f, Reply **ret, struct err *err)
{
	auto_close int slot = -EBADF;
	const struct worker_hooks hooks = { .progress = tell_progress,
					    .arg = f };
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
	if (writers_enter(conf, w.job_id, still_pending, f, &slot, err) ==
	    -ECANCELED)
		return -EBUSY;
	return worker_run(conf, &w, &hooks, ret, err);
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
		r = store_discard(f->fast_fd, generation, &f->user, &err);
	if (r < 0)
		log_debug(f->info.job_id, "%s", err.text);
}

static void tidy_job(struct flush *f)
{
	bool away = !is_here(f) &&
		    (time(NULL) - f->changed > AWAY_S || is_crowded(f));
	auto_free struct store_generation *all = NULL;
	auto_close int job_fd = -EBADF;
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
	/* Not where something was begun meanwhile: then it is not empty. */
	if (away && !count)
		(void)store_remove_job(f->conf->fast_dir, f->cluster,
				       f->info.job_id, &f->user, &unused);
}

static int pass_job(const struct conf *conf, const char *cluster,
		    const char *job, bool tidy)
{
	uint32_t generation = 0;
	struct err err = { 0 };
	struct flush f;
	int r = open_job(conf, cluster, job, &f, &err);

	/* Files that are no job's. */
	if (r < 0)
		return 0;
	r = tier_dir_pending(f.fast_fd, &f.user, &generation, &err);
	if (r < 0)
		log_warning(job, "%s", err.text);
	else if (generation)
		r = flush_one(&f, generation);
	else
		record_remove(conf->run_dir, f.info.job_id, RECORD_FLUSH);
	if (r == 0 && !generation && tidy)
		tidy_job(&f);
	done(&f);
	return r;
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
	       pass_job(conf, conf->cluster, job_id, false) == 0 &&
	       clock_monotonic_ns() < give_up)
		/* Another child may be at it. */
		nanosleep(&pause, NULL);
}

static int pass_cluster(const struct conf *conf, const char *cluster, bool tidy)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[PATH_MAX];
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", conf->fast_dir, cluster);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.' &&
		    pass_job(conf, cluster, entry->d_name, tidy) < 0)
			r = 1;
	return r;
}

int flush_pass(const struct conf *conf, bool tidy)
{
	int r = pass_cluster(conf, LOCAL_CLUSTER, tidy);

	if (strcmp(conf->cluster, LOCAL_CLUSTER) != 0)
		r |= pass_cluster(conf, conf->cluster, tidy);
	return r;
}
