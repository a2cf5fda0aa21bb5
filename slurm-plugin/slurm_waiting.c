/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A requeued job, that of a node which failed among others, may not start
 * before the credential of its last run has expired: when it has left its
 * nodes slurmctld sets its time of submission to now, and its earliest start
 * to now + cred_expire + 1.  That is how such a job is told from one whose
 * user wants it to wait: slurmctld leaves a time that lies ahead as it is,
 * and one that is given later is another.
 */
#include "slurm_waiting.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#include "util/io.h"

/* Slurm's default of cred_expire in AuthInfo, in seconds. */
#define EXPIRE_DEFAULT 120

static int complain(const char *what)
{
	int e = slurm_get_errno();

	fprintf(stderr, "jobcr-slurm: %s: %s\n", what, slurm_strerror(e));
	return e == ESLURM_INVALID_JOB_ID ? EX_NOINPUT : 1;
}

static int load_expire(time_t *ret)
{
	static const char key[] = "cred_expire=";
	slurm_conf_t *conf;
	const char *at;

	if (slurm_load_ctl_conf(0, &conf) != SLURM_SUCCESS)
		return complain("load the configuration");
	at = conf->authinfo ? strstr(conf->authinfo, key) : NULL;
	*ret = at ? atoi(at + strlen(key)) : EXPIRE_DEFAULT;
	slurm_free_ctl_conf(conf);
	return 0;
}

/* It was requeued, may start one day, and not yet.  now: any time before. */
static bool is_requeued(const job_info_t *job, time_t now)
{
	return (job->job_state & JOB_STATE_BASE) == JOB_PENDING &&
	       !(job->job_state & JOB_COMPLETING) && job->restart_cnt &&
	       job->priority && job->eligible_time > now;
}

/* A job that is requeued in the second of its submission gets the next one. */
static bool waits(const job_info_t *job, time_t expire)
{
	time_t ahead = job->eligible_time - job->submit_time;

	return ahead == expire || ahead == expire + 1;
}

/* The configuration is asked for when there is a reason. */
static int list(uint32_t max)
{
	time_t expire = -1;
	job_info_msg_t *msg;
	uint32_t i;
	int r = 0;

	if (slurm_load_jobs(0, &msg, SHOW_ALL) != SLURM_SUCCESS)
		return complain("load the jobs");
	for (i = 0; r == 0 && max && i < msg->record_count; i++) {
		const job_info_t *job = &msg->job_array[i];

		if (!is_requeued(job, msg->last_update))
			continue;
		if (expire < 0)
			r = load_expire(&expire);
		if (r || !waits(job, expire))
			continue;
		printf("job=%" PRIu32 " uid=%" PRIu32 " gid=%" PRIu32 "\n",
		       job->job_id, job->user_id, job->group_id);
		max--;
	}
	slurm_free_job_info_msg(msg);
	return r;
}

/* 0: no time, it does not wait (any more). */
static int load_start(uint32_t id, time_t *ret)
{
	job_info_msg_t *msg;
	time_t expire;
	uint32_t i;
	int r = load_expire(&expire);

	*ret = 0;
	if (r)
		return r;
	if (slurm_load_job(&msg, id, SHOW_ALL) != SLURM_SUCCESS)
		return complain("load the job");
	for (i = 0; i < msg->record_count; i++) {
		const job_info_t *job = &msg->job_array[i];

		if (job->job_id == id && is_requeued(job, msg->last_update) &&
		    waits(job, expire))
			*ret = msg->last_update > job->submit_time
				       ? msg->last_update
				       : job->submit_time;
	}
	slurm_free_job_info_msg(msg);
	return 0;
}

/*
 * Not in the second in which it left its node: slurmd may take the credential
 * for the one that was revoked then.  Both are the controller's seconds.
 */
static int start(uint32_t id)
{
	job_desc_msg_t update;
	time_t left;
	int r = load_start(id, &left);

	if (r)
		return r;
	if (!left)
		return EX_TEMPFAIL;
	slurm_init_job_desc_msg(&update);
	update.job_id = id;
	update.begin_time = left + 1;
	return slurm_update_job(&update) == SLURM_SUCCESS
		       ? 0
		       : complain("set the start time");
}

int waiting_verb(int argc, char **argv)
{
	bool all = argc == 3 && strcmp(argv[1], "waiting") == 0;
	uint64_t v;

	if (argc != 3 || (!all && strcmp(argv[1], "start-waiting") != 0))
		return WAITING_NO_VERB;
	if (parse_u64(argv[2], UINT32_MAX - 1, &v) < 0)
		return EX_USAGE;
	return all ? list((uint32_t)v) : start((uint32_t)v);
}
