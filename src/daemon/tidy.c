/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/tidy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/bounded.h"
#include "daemon/retire.h"
#include "operation/launch.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/control.h"

/*
 * A worker lives no longer than Timeout; another node's clock, or the file
 * server's, may be wrong by that much.
 */
#define CLOCKS_S 3600

struct task {
	const struct conf *conf;
	const char *cluster, *job, *node;
};

/* The directory's owner is the job's: nobody can make one another's. */
static void tidy_job(void *arg)
{
	const struct task *t = arg;
	const struct conf *conf = t->conf;
	unsigned int older_s = conf->timeout_s + CLOCKS_S, count = 0;
	auto_close int job_fd = -EBADF;
	struct user_id user = { 0 };
	struct err err = { 0 };
	char path[PATH_MAX];
	struct stat st;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", conf->store_dir,
		       t->cluster, t->job);
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	r = user_id_of_file(&st, &user, &err);
	if (r == 0)
		r = store_open_job(conf->store_dir, t->cluster, t->job, false,
				   &user, &job_fd, &err);
	if (r == 0)
		r = store_tidy(job_fd, t->node, older_s, &user, &count, &err);
	if (r < 0 && r != -ENOENT)
		log_warning(t->job, "what dead snapshots have left stays: %s",
			    err.text);
	if (count)
		log_info(t->job,
			 "%u snapshot%s that a worker has not ended %s "
			 "removed",
			 count, count == 1 ? "" : "s",
			 count == 1 ? "was" : "were");
	user_id_done(&user);
}

static void tidy_each(const struct conf *conf, const char *dir,
		      const char *cluster, const char *node)
{
	auto_closedir DIR *jobs = opendir(dir);
	struct bounded bounded = { .limit_s = BOUNDED_S };
	struct dirent *entry;
	struct err unused;

	while (jobs && (entry = readdir(jobs))) {
		struct task t = { .conf = conf,
				  .cluster = cluster,
				  .job = entry->d_name,
				  .node = node };

		if (control_check_id(t.job, &unused) < 0)
			continue;
		if (!t.cluster)
			t.cluster = launch_is_local(t.job) ? LOCAL_CLUSTER
							   : conf->cluster;
		bounded_run(&bounded, conf, t.cluster, t.job, tidy_job, &t);
	}
	bounded_done(&bounded);
}

void tidy_here(const struct conf *conf)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/jobs", conf->run_dir);
	tidy_each(conf, path, NULL, conf->node);
}

static void tidy_cluster(const struct conf *conf, const char *cluster)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", conf->store_dir, cluster);
	tidy_each(conf, path, cluster, NULL);
}

/* One node does it for all: whoever finds that it was not done lately. */
static bool is_our_turn(const struct conf *conf, const char *cluster)
{
	auto_close int fd = -EBADF;
	time_t now = time(NULL);
	const struct timespec times[2] = { { .tv_sec = now },
					   { .tv_sec = now } };
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/.swept", conf->store_dir, cluster);
	if (lstat(path, &st) == 0 && st.st_mtime <= now &&
	    now - st.st_mtime < (time_t)conf->sweep_interval_s)
		return false;
	fd = open(path,
		  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		  0600);
	if (fd >= 0 && futimens(fd, times) == 0)
		return true;
	/* No job of ours has been here yet. */
	if (errno != ENOENT)
		log_warning(NULL,
			    "%s: %s: snapshots of ended jobs are not "
			    "removed",
			    path, strerror(errno));
	return false;
}

int tidy_sweep(const struct conf *conf)
{
	if (is_our_turn(conf, LOCAL_CLUSTER))
		tidy_cluster(conf, LOCAL_CLUSTER);
	if (!is_our_turn(conf, conf->cluster))
		return 0;
	tidy_cluster(conf, conf->cluster);
	return retire_sweep(conf);
}
