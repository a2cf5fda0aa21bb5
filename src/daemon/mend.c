/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/mend.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/slurm.h"
#include "daemon/subject.h"
#include "daemon/tidy.h"
#include "operation/aside.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/saving.h"
#include "wire/shelter.h"

/* Slurm's controller may be away for a moment. */
#define TRIES   60
#define PAUSE_S 5

/* -EAGAIN: nobody can say yet whether Slurm has requeued it. */
static int mend(const struct conf *conf, const char *job_id)
{
	struct slurm_job job;
	struct subject s;
	struct err err = { 0 };
	int r = subject_open(conf, job_id, CONTROL_ALIVE, &s, &err);

	/* Whoever has it sees to it. */
	if (r < 0)
		return 0;
	r = slurm_query(conf->libexec, s.info.slurm, &job, &err);
	if (r < 0 && r != -ENOENT)
		r = -EAGAIN;
	else if (r == 0 &&
		 (job.reason == SLURM_REASON_NONE ||
		  (job.reason == SLURM_REASON_PREEMPT && !job.completing)) &&
		 aside_undo_outputs(&s.info, &err) < 0)
		log_error(s.id, "%s", err.text);
	subject_done(&s);
	return r == -EAGAIN ? r : 0;
}

/* One that nobody saves any more, and whose supervisor is gone. */
static void end_shelter(const struct conf *conf, const char *job_id)
{
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	int r = control_connect(conf->run_dir, job_id, &fd, &err);

	if (r != -ENOENT || saving_await(conf->run_dir, job_id, 0, &err) < 0)
		return;
	if (shelter_end(conf->run_dir, job_id, &err) < 0)
		log_error(job_id, "%s", err.text);
}

static void end_shelters(const struct conf *conf)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs", conf->run_dir);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct err unused;

		if (control_check_id(entry->d_name, &unused) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/jobs/%.64s/shelter",
			 conf->run_dir, entry->d_name);
		if (access(path, F_OK) == 0)
			end_shelter(conf, entry->d_name);
	}
}

/* A store that hangs keeps nothing else waiting. */
static void tidy_apart(const struct conf *conf)
{
	if (fork() != 0)
		return;
	tidy_here(conf);
	_exit(0);
}

int mend_jobs(const struct conf *conf)
{
	const struct timespec pause = { .tv_sec = PAUSE_S };
	auto_free struct control_info *list = NULL;
	struct err unused;
	size_t count, i;
	int try, again = 1;

	end_shelters(conf);
	tidy_apart(conf);
	if (control_list(conf->run_dir, &list, &count, &unused) < 0)
		return 0;
	for (try = 0; again && try < TRIES; try++) {
		if (try)
			nanosleep(&pause, NULL);
		again = 0;
		for (i = 0; i < count; i++)
			if (list[i].slurm && list[i].state == CONTROL_ALIVE &&
			    mend(conf, list[i].job_id) < 0)
				again = 1;
	}
	return 0;
}
