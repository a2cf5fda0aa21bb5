/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slurm_limits.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#include "util/io.h"

/* What slurmctld says of itself. */
struct site {
	slurm_conf_t *conf; /* last_update is its time of now */
	partition_info_msg_t *partitions;
};

static int complain(const char *what)
{
	fprintf(stderr, "jobcr-slurm: %s: %s\n", what,
		slurm_strerror(slurm_get_errno()));
	return 1;
}

static const partition_info_t *find_partition(const struct site *site,
					      const char *name)
{
	uint32_t i;

	for (i = 0; name && i < site->partitions->record_count; i++)
		if (strcmp(site->partitions->partition_array[i].name, name) ==
		    0)
			return &site->partitions->partition_array[i];
	return NULL;
}

/*
 * With preempt/qos the grace is that of a QOS, which only slurmdbd tells: the
 * least that there can be is KillWait.
 */
static long long window_of(const struct site *site, const job_info_t *job)
{
	const partition_info_t *p = find_partition(site, job->partition);
	const char *type = site->conf->preempt_type;
	uint16_t mode = site->conf->preempt_mode;

	if (!type || strcmp(type, "preempt/none") == 0)
		return -1;
	if (strcmp(type, "preempt/partition_prio") != 0 || !p)
		return site->conf->kill_wait;
	if (p->preempt_mode != NO_VAL16)
		mode = p->preempt_mode;
	if ((mode & ~PREEMPT_MODE_GANG) == PREEMPT_MODE_OFF)
		return -1;
	return (long long)p->grace_time + site->conf->kill_wait;
}

static void put(const struct site *site, const job_info_t *job)
{
	long long left = -1, limit = -1;

	if (job->time_limit != INFINITE && job->end_time) {
		left = (long long)(job->end_time - site->conf->last_update);
		left = left < 0 ? 0 : left;
		limit = (long long)(job->end_time - job->start_time);
	}
	printf("job=%" PRIu32 " left=%lld limit=%lld window=%lld\n",
	       job->job_id, left, limit, window_of(site, job));
}

/* One that slurmctld does not know is none that runs. */
static void put_job(const struct site *site, uint32_t id)
{
	job_info_msg_t *msg;
	uint32_t i;

	if (slurm_load_job(&msg, id, SHOW_ALL) != SLURM_SUCCESS)
		return;
	for (i = 0; i < msg->record_count; i++)
		if (msg->job_array[i].job_id == id &&
		    (msg->job_array[i].job_state & JOB_STATE_BASE) ==
			    JOB_RUNNING)
			put(site, &msg->job_array[i]);
	slurm_free_job_info_msg(msg);
}

static int put_jobs(const struct site *site, char *list)
{
	char *id;
	uint64_t v;

	while ((id = strsep(&list, ","))) {
		if (parse_u64(id, UINT32_MAX - 1, &v) < 0) {
			fprintf(stderr, "jobcr-slurm: \"%s\" is no job\n", id);
			return EX_USAGE;
		}
		put_job(site, (uint32_t)v);
	}
	return 0;
}

int limits_verb(int argc, char **argv)
{
	struct site site;
	int r;

	if (argc != 3 || strcmp(argv[1], "limits") != 0)
		return LIMITS_NO_VERB;
	if (slurm_load_ctl_conf(0, &site.conf) != SLURM_SUCCESS)
		return complain("load the configuration");
	if (slurm_load_partitions(0, &site.partitions, SHOW_ALL) !=
	    SLURM_SUCCESS) {
		slurm_free_ctl_conf(site.conf);
		return complain("load the partitions");
	}
	r = put_jobs(&site, argv[2]);
	slurm_free_partition_info_msg(site.partitions);
	slurm_free_ctl_conf(site.conf);
	return r;
}
