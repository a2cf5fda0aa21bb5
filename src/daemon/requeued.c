/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/requeued.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bounded.h"
#include "daemon/event.h"
#include "daemon/slurm.h"
#include "storage/rota.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/record.h"

#define ROTA_NAME ".requeued"
/* Of one pass; what is left comes with the next. */
#define JOBS_MAX "1000"

/* Nothing of Slurm's has been here yet, or there is no Slurm. */
static bool is_idle(const struct conf *conf)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/jobcr-slurm", conf->libexec);
	if (access(path, X_OK) < 0)
		return true;
	snprintf(path, sizeof(path), "%s/%s", conf->store_dir, conf->cluster);
	return lstat(path, &st) < 0 && errno == ENOENT;
}

/*
 * Shorter than from one pass to the next, or each second one of them would
 * come a moment too early.
 */
static int take_turn(const struct conf *conf, struct err *err)
{
	uint64_t every = conf->requeued_s * NSEC_PER_SEC / 10 * 9;
	struct record_rota rec = { 0 };
	struct rota_seen seen;
	struct err unused;
	int r;

	(void)record_read(conf->run_dir, NULL, RECORD_REQUEUED, &rec,
			  sizeof(rec), &unused);
	seen = (struct rota_seen){ rec.turn, rec.since_mono };
	r = rota_take(conf->store_dir, conf->cluster, ROTA_NAME, every,
		      clock_monotonic_ns(), &seen, err);
	rec.turn = seen.turn;
	rec.since_mono = seen.since_ns;
	(void)record_write(conf->run_dir, NULL, RECORD_REQUEUED, &rec,
			   sizeof(rec), &unused);
	return r;
}

/* 0: none, or not to be had. */
static uint32_t find_snapshot(const struct conf *conf,
			      const struct control_info *info)
{
	auto_close int fd = -EBADF;
	uint32_t generation = 0;
	struct user_id user;
	struct err unused;

	if (user_id_load(info->uid, info->gid, &user, &unused) < 0)
		return 0;
	if (store_open_job(conf->store_dir, conf->cluster, info->job_id, false,
			   &user, &fd, &unused) == 0 &&
	    store_newest(fd, &user, &generation, &unused) < 0)
		generation = 0;
	user_id_done(&user);
	return generation;
}

struct waiting {
	const struct conf *conf;
	struct control_info info;
};

static void look_at(void *arg)
{
	auto_free struct slurm_output *out = malloc(sizeof(*out));
	struct waiting *w = arg;
	uint32_t generation = out ? find_snapshot(w->conf, &w->info) : 0;
	struct err err = { 0 };

	if (!generation)
		return;
	if (slurm_run(w->conf->libexec,
		      (const char *[]){ "start-waiting", w->info.job_id, NULL },
		      out, &err) == 0)
		event_note(w->conf, &w->info, "requeued", generation,
			   "requeued by Slurm, may start at once");
	else
		log_warning(w->info.job_id, "%s: it starts when Slurm lets it",
			    err.text);
}

static void look_at_line(struct bounded *bounded, const struct conf *conf,
			 const char *line)
{
	struct waiting w = { .conf = conf };
	unsigned int id, uid, gid;

	if (sscanf(line, "job=%u uid=%u gid=%u", &id, &uid, &gid) != 3)
		return;
	snprintf(w.info.job_id, sizeof(w.info.job_id), "%u", id);
	w.info.uid = uid;
	w.info.gid = gid;
	bounded_run(bounded, conf, conf->cluster, w.info.job_id, look_at, &w);
}

int requeued_pass(const struct conf *conf)
{
	const char *const words[] = { "waiting", JOBS_MAX, NULL };
	auto_free struct slurm_output *out = malloc(sizeof(*out));
	struct bounded bounded = { .limit_s = BOUNDED_S };
	struct err err = { 0 };
	char *line, *rest;
	int r;

	if (!out || is_idle(conf))
		return 0;
	r = take_turn(conf, &err);
	if (r == 1)
		r = slurm_run(conf->libexec, words, out, &err);
	else if (r == 0)
		return 0;
	if (r < 0) {
		log_debug(NULL, "jobs that Slurm requeued: %s", err.text);
		return 1;
	}
	for (line = strtok_r(out->text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		look_at_line(&bounded, conf, line);
	bounded_done(&bounded);
	return 0;
}
