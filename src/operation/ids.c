/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "operation/launch.h"
#include "util/cleanup.h"
#include "util/io.h"

#define KEEP_ENDED_S (7 * 24 * 3600)

/* More have not been seen to be started at the same instant. */
#define TRIES 1000

bool launch_is_local(const char *job_id)
{
	return !strncmp(job_id, LOCAL_PREFIX, strlen(LOCAL_PREFIX));
}

/* Raise *highest to the highest N of local-N in a directory. */
static void scan(const char *path, uint64_t *highest)
{
	auto_closedir DIR *dir = opendir(path);
	struct dirent *entry;
	uint64_t n;

	while (dir && (entry = readdir(dir)))
		if (launch_is_local(entry->d_name) &&
		    parse_u64(entry->d_name + strlen(LOCAL_PREFIX), UINT32_MAX,
			      &n) == 0 &&
		    n > *highest)
			*highest = n;
}

/* What is known of jobs that ended long ago is forgotten. */
static void forget_old(const char *jobs)
{
	auto_closedir DIR *dir = opendir(jobs);
	time_t before = time(NULL) - KEEP_ENDED_S;
	struct dirent *entry;
	char path[1024];
	struct stat st;

	while (dir && (entry = readdir(dir))) {
		if (!launch_is_local(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s/ended", jobs,
			 entry->d_name);
		if (stat(path, &st) < 0 || st.st_mtime >= before)
			continue;
		(void)unlink(path);
		*strrchr(path, '/') = '\0';
		(void)rmdir(path);
	}
}

static int make_parents(const struct conf *conf, char *path, size_t room,
			struct err *err)
{
	int n = snprintf(path, room, "%s/jobs", conf->run_dir);

	if (n < 0 || (size_t)n + JOB_ID_MAX >= room)
		return err_num(err, ENAMETOOLONG, "%s", conf->run_dir);
	if ((mkdir(conf->run_dir, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(path, 0700) < 0 && errno != EEXIST))
		return err_sys(err, "%s", path);
	return 0;
}

int launch_new_id(const struct conf *conf, char ret[JOB_ID_MAX],
		  struct err *err)
{
	char jobs[512], store[4096], path[512 + JOB_ID_MAX + 2];
	char id[JOB_ID_MAX];
	uint64_t highest = 0;
	int r, i;

	r = make_parents(conf, jobs, sizeof(jobs), err);
	if (r < 0)
		return r;
	snprintf(store, sizeof(store), "%s/" LOCAL_CLUSTER, conf->store_dir);
	forget_old(jobs);
	scan(jobs, &highest);
	scan(store, &highest);
	for (i = 0; i < TRIES; i++) {
		snprintf(id, sizeof(id), LOCAL_PREFIX "%llu",
			 (unsigned long long)++highest);
		snprintf(path, sizeof(path), "%s/%s", jobs, id);
		if (mkdir(path, 0700) == 0) {
			strcpy(ret, id);
			return 0;
		}
		if (errno != EEXIST)
			return err_sys(err, "%s", path);
	}
	return err_set(err, -EBUSY, "no free job id below %s", jobs);
}
