/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/candidate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/kept.h"
#include "storage/ended.h"
#include "storage/history.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

void candidate_done(struct candidate *c)
{
	if (c->job_fd >= 0)
		close(c->job_fd);
	user_id_done(&c->user);
}

int candidate_open(const struct conf *conf, const char *name,
		   struct candidate *ret, struct err *err)
{
	struct candidate c = { .conf = conf, .name = name, .job_fd = -1 };
	char path[4096];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "%s/%s/%s", conf->store_dir, conf->cluster,
		 name);
	if (lstat(path, &st) < 0)
		return err_sys(err, "%s", path);
	r = user_id_of_file(&st, &c.user, err);
	if (r == 0)
		r = store_open_job(conf->store_dir, conf->cluster, name, false,
				   &c.user, &c.job_fd, err);
	if (r < 0)
		candidate_done(&c);
	else
		*ret = c;
	return r;
}

enum keep { KEEP_COMPLETED, KEEP_ENDED, KEEP_UNKNOWN, KEEP_FOREVER };

/* Words of Slurm's for jobs that are over, and our own. */
static const struct {
	const char *state;
	enum keep keep;
} ends[] = {
	{ "COMPLETED", KEEP_COMPLETED }, { "FAILED", KEEP_ENDED },
	{ "CANCELLED", KEEP_ENDED },     { "OUT_OF_MEMORY", KEEP_ENDED },
	{ "TIMEOUT", KEEP_FOREVER },     { "DEADLINE", KEEP_FOREVER },
	{ "PREEMPTED", KEEP_FOREVER },   { "NODE_FAIL", KEEP_FOREVER },
	{ "BOOT_FAIL", KEEP_FOREVER },   { CANDIDATE_UNKNOWN, KEEP_UNKNOWN },
};

bool candidate_is_over(const char *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (strcmp(ends[i].state, state) == 0)
			return true;
	return false;
}

uint64_t candidate_keep_s(const struct conf *conf, const char *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		if (strcmp(ends[i].state, state) != 0)
			continue;
		if (ends[i].keep == KEEP_COMPLETED)
			return conf->keep_completed_s;
		if (ends[i].keep == KEEP_ENDED)
			return conf->keep_ended_s;
		if (ends[i].keep == KEEP_UNKNOWN)
			return conf->keep_unknown_s;
	}
	return CANDIDATE_FOREVER;
}

bool candidate_has_kept(const struct candidate *c)
{
	bool kept = false;
	struct err unused;

	return store_keeps(c->job_fd, &c->user, &kept, &unused) < 0 || kept;
}

int candidate_retire(const struct candidate *c, struct err *err)
{
	int r = ended_claim(c->job_fd, &c->user, err);

	return r < 0 ? r
		     : ended_retire(c->conf->store_dir, c->conf->cluster,
				    c->name, &c->user, err);
}

static int write_mark(const struct candidate *c, const char *state,
		      struct err *err)
{
	struct control_info info = { .uid = c->user.uid, .gid = c->user.gid };
	struct ended_mark mark = { .at_ns = clock_ns(CLOCK_REALTIME) };
	uint64_t keep = candidate_keep_s(c->conf, state);

	snprintf(info.job_id, sizeof(info.job_id), "%s", c->name);
	snprintf(mark.state, sizeof(mark.state), "%s", state);

	if (keep == CANDIDATE_FOREVER)
		event_note(c->conf, &info, "ended", 0,
			   "%s: its snapshots stay until somebody deletes them",
			   state);
	else if (keep)
		event_note(
			c->conf, &info, "ended", 0,
			"%s: its snapshots stay for %llu %s", state,
			(unsigned long long)(keep < 7200 ? keep : keep / 3600),
			keep < 7200 ? "s" : "hours");
	else
		event_note(c->conf, &info, "ended", 0,
			   "%s: its snapshots are removed", state);
	return ended_write(c->job_fd, &c->user, &mark, err);
}

/*
 * Nothing is left to know of a job that has COMPLETED and was only started:
 * with default=on these are most jobs of a cluster.
 */
static bool is_quiet(const struct candidate *c, const char *state)
{
	auto_free struct store_generation *list = NULL;
	auto_free struct history_event *events = NULL;
	size_t count = 0, i;
	struct err err;
	int r;

	if (strcmp(state, "COMPLETED") != 0 ||
	    store_list(c->job_fd, &c->user, &list, &count, &err) < 0 || count)
		return false;
	r = history_read(c->job_fd, &c->user, &events, &count, &err);
	for (i = 0; r == 0 && i < count; i++)
		if (strcmp(events[i].kind, "started") != 0 ||
		    events[i].generation)
			return false;
	return r == 0 || r == -ENOENT;
}

/* By the same steps as any other, so that a new start is told. */
static int forget(const struct candidate *c, const char *state, struct err *err)
{
	struct ended_mark mark = { .at_ns = clock_ns(CLOCK_REALTIME) };
	char retired[NAME_MAX];
	int r;

	snprintf(mark.state, sizeof(mark.state), "%s", state);
	snprintf(retired, sizeof(retired), "%s" ENDED_SUFFIX, c->name);
	r = ended_write(c->job_fd, &c->user, &mark, err);
	if (r == 0)
		r = candidate_retire(c, err);
	if (r == 0)
		r = store_remove_job(c->conf->store_dir, c->conf->cluster,
				     retired, &c->user, err);
	return r;
}

/* What it had written may be aside still, for a start that never came. */
static void outputs_back(const struct candidate *c)
{
	struct err err;

	if (kept_outputs_undo(c->job_fd, &c->user, c->name, &err) < 0)
		log_warning(c->name, "%s", err.text);
}

int candidate_settle(const struct candidate *c, const char *state,
		     struct err *err)
{
	int r;

	outputs_back(c);
	if (is_quiet(c, state)) {
		r = forget(c, state, err);
		return r < 0 ? r : 1;
	}
	return write_mark(c, state, err);
}
