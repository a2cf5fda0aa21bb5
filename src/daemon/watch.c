/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/server.h"
#include "daemon/slurm.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/notify.h"

/* Jobs of Slurm's are numbers. */
static bool is_slurm_id(const char *name)
{
	uint64_t v;

	return parse_u64(name, UINT32_MAX, &v) == 0;
}

static DIR *open_jobs(const struct conf *conf)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs", conf->run_dir);
	return opendir(path);
}

int watch_needed(const struct conf *conf)
{
	auto_closedir DIR *dir = open_jobs(conf);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_slurm_id(entry->d_name))
			return 1;
	return 0;
}

static void look_at(const struct conf *conf, const char *job_id)
{
	struct control_info info;
	struct slurm_job job;
	struct err err;

	if (control_read_info(conf->run_dir, job_id, &info, &err) < 0 ||
	    !info.slurm || info.state != CONTROL_ALIVE)
		return;
	if (slurm_query(conf->libexec, info.slurm, &job, &err) < 0)
		return;
	if (job.reason == SLURM_REASON_PREEMPT ||
	    job.reason == SLURM_REASON_REQUEUE ||
	    job.reason == SLURM_REASON_NODE)
		(void)notify_send(conf->run_dir, job_id, NOTIFY_PREEMPT, 0,
				  &err);
}

int watch_slurm(const struct conf *conf)
{
	auto_closedir DIR *dir = open_jobs(conf);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_slurm_id(entry->d_name))
			look_at(conf, entry->d_name);
	return 0;
}
