/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/bounded.h"
#include "daemon/candidate.h"
#include "daemon/retire.h"
#include "daemon/tidy.h"
#include "operation/launch.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/record.h"
#include "wire/writing.h"

#define SUFFIX ".rec"

struct task {
	const struct conf *conf;
	const char *cluster, *job;
	bool ended;
};

static void retire_old(const struct task *t)
{
	auto_close int job_fd = -EBADF;
	struct conf own = *t->conf;
	struct candidate c;
	struct err err;
	int r;

	own.cluster = (char *)t->cluster;
	r = candidate_open(&own, t->job, &c, &err);
	if (r == 0) {
		r = store_retire(c.job_fd, own.keep, &c.user, &err);
		candidate_done(&c);
	}
	if (r < 0 && r != -ENOENT)
		log_warning(t->job, "an older snapshot stays: %s", err.text);
}

static void retire(void *arg)
{
	const struct task *t = arg;

	if (t->ended)
		retire_put_off(t->conf, t->job);
	else
		retire_old(t);
}

/* The job's name, if it is that of such a record. */
static bool parse_name(const char *name, char job[JOB_ID_MAX])
{
	size_t start = sizeof(RECORD_LATER) - 1, len = strlen(name);
	struct err unused;

	if (strncmp(name, RECORD_LATER, start) != 0 ||
	    len <= start + sizeof(SUFFIX) - 1 ||
	    len - start - (sizeof(SUFFIX) - 1) >= JOB_ID_MAX ||
	    strcmp(name + len - (sizeof(SUFFIX) - 1), SUFFIX) != 0)
		return false;
	snprintf(job, JOB_ID_MAX, "%.*s",
		 (int)(len - start - (sizeof(SUFFIX) - 1)), name + start);
	return control_check_id(job, &unused) == 0;
}

/* What fails is for the next snapshot of the job, or a sweep. */
static void do_later(struct bounded *b, const struct conf *conf,
		     const char *job)
{
	struct record_later rec;
	char name[RECORD_LATER_SIZE];
	struct err unused;
	struct task t = { .conf = conf,
			  .cluster = launch_is_local(job) ? LOCAL_CLUSTER
							  : conf->cluster,
			  .job = job };

	snprintf(name, sizeof(name), RECORD_LATER "%s", job);
	if (record_read(conf->run_dir, NULL, name, &rec, sizeof(rec),
			&unused) == 0 &&
	    !writing_may_remove(conf->run_dir, rec.since_mono))
		return;
	t.ended = rec.ended;
	b->since_ns = rec.since_mono;
	record_remove(conf->run_dir, NULL, name);
	bounded_run(b, conf, t.cluster, job, retire, &t);
}

static bool next(DIR *dir, char job[JOB_ID_MAX])
{
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (parse_name(entry->d_name, job))
			return true;
	return false;
}

bool later_needed(const struct conf *conf)
{
	auto_closedir DIR *dir = opendir(conf->run_dir);
	char job[JOB_ID_MAX];

	return next(dir, job);
}

int later_pass(const struct conf *conf)
{
	auto_closedir DIR *dir = opendir(conf->run_dir);
	struct bounded bounded = { .limit_s = BOUNDED_S };
	char job[JOB_ID_MAX];

	while (next(dir, job))
		do_later(&bounded, conf, job);
	bounded_done(&bounded);
	return 0;
}
