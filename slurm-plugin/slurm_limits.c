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

#include "slurm_window.h"
#include "util/io.h"

static int complain(const char *what)
{
	fprintf(stderr, "jobcr-slurm: %s: %s\n", what,
		slurm_strerror(slurm_get_errno()));
	return 1;
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
	       job->job_id, left, limit, site_window(site, job));
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
	const char *what;
	int r;

	if (argc != 3 || strcmp(argv[1], "limits") != 0)
		return LIMITS_NO_VERB;
	r = site_load(&site, &what) < 0 ? complain(what)
					: put_jobs(&site, argv[2]);
	site_done(&site);
	return r;
}
