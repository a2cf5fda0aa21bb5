/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What jobcrd needs of slurmctld, in a process of its own: libslurm may exit
 * on a bad configuration and waits on a controller that is away.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#include "slurm_limits.h"
#include "slurm_node.h"
#include "slurm_submit.h"
#include "slurm_waiting.h"
#include "util/io.h"

/* As sysexits(3) has them, so that jobcrd can tell them apart. */
#define EXIT_OK      0
#define EXIT_FAILED  1
#define EXIT_USAGE   64
#define EXIT_NO_JOB  66
#define EXIT_DENIED  69
#define EXIT_NOT_NOW 75
#define EXIT_NOT_TO  77

/* What jobcr says in an AdminComment begins so. */
#define OURS        "jobcr: "
#define COMMENT_MAX 4096

/* How long a requeued job may take to leave its node. */
#define PENDING_TIMEOUT_S 300

static const char *const states[JOB_END] = {
	[JOB_PENDING] = "PENDING",     [JOB_RUNNING] = "RUNNING",
	[JOB_SUSPENDED] = "SUSPENDED", [JOB_COMPLETE] = "COMPLETED",
	[JOB_CANCELLED] = "CANCELLED", [JOB_FAILED] = "FAILED",
	[JOB_TIMEOUT] = "TIMEOUT",     [JOB_NODE_FAIL] = "NODE_FAIL",
	[JOB_PREEMPTED] = "PREEMPTED", [JOB_BOOT_FAIL] = "BOOT_FAIL",
	[JOB_DEADLINE] = "DEADLINE",   [JOB_OOM] = "OUT_OF_MEMORY",
};

static const char *const reasons[JOB_END] = {
	[JOB_CANCELLED] = "cancel",   [JOB_TIMEOUT] = "timelimit",
	[JOB_DEADLINE] = "timelimit", [JOB_NODE_FAIL] = "node",
	[JOB_BOOT_FAIL] = "node",
};

static const char *state_of(const job_info_t *job)
{
	uint32_t base = job->job_state & JOB_STATE_BASE;

	return base < JOB_END && states[base] ? states[base] : "UNKNOWN";
}

/*
 * Why a job may just have been signalled.  From the start of its grace time a
 * preempted job is RUNNING with a preemption time, which it keeps until it has
 * left its nodes; a requeued one is PENDING at once and COMPLETING for as long
 * as it has processes.
 */
static const char *reason_of(const job_info_t *job)
{
	uint32_t base = job->job_state & JOB_STATE_BASE;

	if (base == JOB_RUNNING || base == JOB_SUSPENDED)
		return job->preempt_time ? "preempt" : "none";
	if (base == JOB_PENDING)
		return job->preempt_time ? "preempt" : "requeue";
	if (base == JOB_PREEMPTED)
		return "preempt";
	if (base < JOB_END && reasons[base])
		return reasons[base];
	return "ended";
}

static int complain(const char *what)
{
	int e = slurm_get_errno();

	fprintf(stderr, "jobcr-slurm: %s: %s\n", what, slurm_strerror(e));
	return e == ESLURM_INVALID_JOB_ID ? EXIT_NO_JOB : EXIT_FAILED;
}

/*
 * *ret_job: borrowed from *ret.  A task of an array whose id is that of the
 * array comes together with all the others.
 */
static int load(uint32_t id, job_info_msg_t **ret, const job_info_t **ret_job)
{
	uint32_t i;

	if (slurm_load_job(ret, id, SHOW_DETAIL) != SLURM_SUCCESS)
		return complain("load the job");
	for (i = 0; i < (*ret)->record_count; i++) {
		*ret_job = &(*ret)->job_array[i];
		if ((*ret_job)->job_id == id)
			return EXIT_OK;
	}
	slurm_free_job_info_msg(*ret);
	fprintf(stderr, "jobcr-slurm: job %" PRIu32 ": not known\n", id);
	return EXIT_NO_JOB;
}

/* Slurm's SIGKILL follows its SIGTERM after so many seconds; 0: not known. */
static unsigned int kill_wait(void)
{
	slurm_conf_t *conf;
	unsigned int ret;

	if (slurm_load_ctl_conf(0, &conf) != SLURM_SUCCESS)
		return 0;
	ret = conf->kill_wait;
	slurm_free_ctl_conf(conf);
	return ret;
}

static void print_times(const job_info_t *job)
{
	bool ends = job->preempt_time || (job->job_state & JOB_COMPLETING);

	printf("preempt_time=%lld\n", (long long)job->preempt_time);
	printf("end_time=%lld\n", (long long)job->end_time);
	printf("kill_wait=%u\n", ends ? kill_wait() : 0);
}

static int query(uint32_t id)
{
	job_info_msg_t *msg;
	const job_info_t *job;
	int r = load(id, &msg, &job);

	if (r != EXIT_OK)
		return r;
	printf("state=%s\n", state_of(job));
	printf("submit_time=%lld\n", (long long)job->submit_time);
	printf("completing=%d\n", (job->job_state & JOB_COMPLETING) != 0);
	printf("pending=%d\n",
	       (job->job_state & JOB_STATE_BASE) == JOB_PENDING);
	printf("running=%d\n",
	       (job->job_state & JOB_STATE_BASE) == JOB_RUNNING);
	printf("suspended=%d\n",
	       (job->job_state & JOB_STATE_BASE) == JOB_SUSPENDED);
	printf("reason=%s\n", reason_of(job));
	printf("uid=%" PRIu32 "\n", job->user_id);
	printf("gid=%" PRIu32 "\n", job->group_id);
	printf("nodes=%s\n", job->nodes ? job->nodes : "");
	printf("node_count=%" PRIu32 "\n", job->num_nodes);
	printf("requeue=%d\n", job->requeue != 0);
	printf("restart_count=%u\n", (unsigned int)job->restart_cnt);
	printf("held=%d\n", job->priority == 0);
	printf("noted=%d\n",
	       job->admin_comment && strstr(job->admin_comment, OURS) != NULL);
	print_times(job);
	slurm_free_job_info_msg(msg);
	return EXIT_OK;
}

/*
 * Cancelled: slurmctld would take it back into the queue, but somebody wants
 * it to end.  One that has no processes any more may be wanted back (again),
 * though not by who does not know yet that its run is over.
 */
static int check_wanted(uint32_t id, bool again)
{
	job_info_msg_t *msg;
	const job_info_t *job;
	bool cancelled;
	int r = load(id, &msg, &job);

	if (r != EXIT_OK)
		return r;
	cancelled = (job->job_state & JOB_STATE_BASE) == JOB_CANCELLED &&
		    (!again || (job->job_state & JOB_COMPLETING));
	slurm_free_job_info_msg(msg);
	if (!cancelled)
		return EXIT_OK;
	fputs("jobcr-slurm: the job was cancelled\n", stderr);
	return EXIT_NOT_TO;
}

/* Slurm may have been faster: pending is what was wanted. */
static int requeue(uint32_t id, bool again)
{
	int r = check_wanted(id, again);

	if (r != EXIT_OK)
		return r;
	if (slurm_requeue(id, 0) == SLURM_SUCCESS ||
	    slurm_get_errno() == ESLURM_JOB_PENDING)
		return EXIT_OK;
	return complain("requeue");
}

/*
 * 1: pending and off its nodes; 0: not yet; below 0: it never will be.
 * *ret_changed: when slurmctld, by its own clock, last changed any job.
 */
static int is_pending(uint32_t id, time_t *ret_changed)
{
	const job_info_t *job;
	job_info_msg_t *msg;
	uint32_t state;

	if (load(id, &msg, &job) != EXIT_OK)
		return -1;
	state = job->job_state;
	*ret_changed = msg->last_update;
	slurm_free_job_info_msg(msg);
	if ((state & JOB_STATE_BASE) != JOB_PENDING)
		return -1;
	return (state & JOB_COMPLETING) == 0;
}

/*
 * slurmctld lets a requeued job wait until the credential of its last run has
 * expired, two minutes by default.  It sets that time when the job leaves its
 * node, so that an earlier update would be overwritten.
 * Not in the second in which it left: slurmd takes a credential of the second
 * of the last revocation for a revoked one, and then Slurm ends the job as
 * failed.  Both seconds are the controller's; the node's clock may differ.
 */
static int start(uint32_t id)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	time_t until = time(NULL) + PENDING_TIMEOUT_S;
	job_desc_msg_t update;
	time_t changed = 0;
	int r;

	while ((r = is_pending(id, &changed)) == 0) {
		if (time(NULL) > until) {
			fprintf(stderr, "jobcr-slurm: the job does not leave "
					"its node\n");
			return EXIT_NOT_NOW;
		}
		nanosleep(&pause, NULL);
	}
	if (r < 0)
		return EXIT_NOT_NOW;
	slurm_init_job_desc_msg(&update);
	update.job_id = id;
	update.begin_time = changed + 1;
	return slurm_update_job(&update) == SLURM_SUCCESS
		       ? EXIT_OK
		       : complain("set the start time");
}

/*
 * AdminComment belongs to the site's people.  Ours is the part from OURS on:
 * in front of it may stand what somebody else has put there.
 */
static int comment(uint32_t id, const char *text, bool beside_others)
{
	char fresh[COMMENT_MAX];
	job_info_msg_t *msg;
	job_desc_msg_t update;
	const job_info_t *job;
	const char *old, *own;
	size_t others;
	int r = load(id, &msg, &job);

	if (r != EXIT_OK)
		return r;
	old = job->admin_comment ? job->admin_comment : "";
	own = strstr(old, OURS);
	others = own ? (size_t)(own - old) : strlen(old);
	while (others && strchr("; ", old[others - 1]))
		others--;
	snprintf(fresh, sizeof(fresh), "%.*s%s%s", (int)others, old,
		 others ? "; " : "", text);
	slurm_free_job_info_msg(msg);
	if (others && !own && !beside_others)
		return EXIT_OK;
	slurm_init_job_desc_msg(&update);
	update.job_id = id;
	update.admin_comment = fresh;
	return slurm_update_job(&update) == SLURM_SUCCESS
		       ? EXIT_OK
		       : complain("set the comment");
}

static int update_hold(uint32_t id, job_desc_msg_t *update)
{
	update->job_id = id;
	return slurm_update_job(update) == SLURM_SUCCESS ? EXIT_OK
							 : complain("hold");
}

/*
 * The reason first: a held job shows it from its first moment.  One that is
 * pending already is held by its priority.  --no-requeue is against a job
 * that begins again, which one with a snapshot does not.
 */
static int hold(uint32_t id, const char *reason)
{
	job_desc_msg_t update;
	int r = check_wanted(id, false);

	if (r != EXIT_OK)
		return r;
	(void)comment(id, reason, true);
	slurm_init_job_desc_msg(&update);
	if (slurm_requeue(id, JOB_REQUEUE_HOLD) == SLURM_SUCCESS)
		return EXIT_OK;
	/* Released by its owner, as one that is requeued is. */
	if (slurm_get_errno() == ESLURM_JOB_PENDING) {
		update.priority = 0;
		update.alloc_sid = ALLOC_SID_USER_HOLD;
		return update_hold(id, &update);
	}
	if (slurm_get_errno() != ESLURM_DISABLED)
		return complain("requeue and hold");
	update.requeue = 1;
	r = update_hold(id, &update);
	if (r != EXIT_OK)
		return r;
	return slurm_requeue(id, JOB_REQUEUE_HOLD) == SLURM_SUCCESS
		       ? EXIT_OK
		       : complain("requeue and hold");
}

/* Only a job that Slurm has started before. */
static int hold_restarted(uint32_t id, const char *reason)
{
	const job_info_t *job;
	job_info_msg_t *msg;
	bool restarted;
	int r = load(id, &msg, &job);

	if (r != EXIT_OK)
		return r;
	restarted = job->restart_cnt > 0;
	slurm_free_job_info_msg(msg);
	return restarted ? hold(id, reason) : EXIT_NOT_NOW;
}

static int describe(uint32_t id, const char *std_out, const char *std_err)
{
	const job_info_t *job;
	job_info_msg_t *msg;
	int r = load(id, &msg, &job);

	if (r != EXIT_OK)
		return r;
	r = submit_describe(job, std_out, std_err);
	slurm_free_job_info_msg(msg);
	return r;
}

/*
 * Out of a hold, with the rights of who wants it: what an administrator holds
 * is not its owner's to release.
 */
static int release(uint32_t id, uid_t uid, gid_t gid)
{
	job_desc_msg_t update;

	if (uid != 0 && submit_become(uid, gid) < 0)
		return EXIT_FAILED;
	slurm_init_job_desc_msg(&update);
	update.job_id = id;
	update.priority = INFINITE;
	if (slurm_update_job(&update) == SLURM_SUCCESS)
		return EXIT_OK;
	if (slurm_get_errno() != ESLURM_ACCESS_DENIED)
		return complain("release");
	fprintf(stderr,
		"jobcr-slurm: held by an administrator, who alone may release "
		"it (scontrol release %" PRIu32 ")\n",
		id);
	return EXIT_DENIED;
}

static int resubmit(uint32_t uid, const char *gid, const char *dir)
{
	uint64_t v;

	if (parse_u64(gid, UINT32_MAX - 1, &v) < 0)
		return EXIT_USAGE;
	return submit_again(uid, (gid_t)v, dir) ? EXIT_FAILED : EXIT_OK;
}

static int release_as(uint32_t id, const char *uid, const char *gid)
{
	uint64_t u, g;

	if (parse_u64(uid, UINT32_MAX - 1, &u) < 0 ||
	    parse_u64(gid, UINT32_MAX - 1, &g) < 0)
		return EXIT_USAGE;
	return release(id, (uid_t)u, (gid_t)g);
}

static int usage(void)
{
	fputs("usage: jobcr-slurm query JOBID\n"
	      "       jobcr-slurm requeue JOBID\n"
	      "       jobcr-slurm requeue-ended JOBID\n"
	      "       jobcr-slurm start JOBID\n"
	      "       jobcr-slurm hold JOBID REASON\n"
	      "       jobcr-slurm hold-restarted JOBID REASON\n"
	      "       jobcr-slurm comment JOBID TEXT\n"
	      "       jobcr-slurm release JOBID UID GID\n"
	      "       jobcr-slurm describe JOBID STDOUT STDERR\n"
	      "       jobcr-slurm submit UID GID DIR\n" NODE_USAGE LIMITS_USAGE
		      WAITING_USAGE,
	      stderr);
	return EXIT_USAGE;
}

static int run(int argc, char **argv, uint32_t id)
{
	if (argc == 3 && strcmp(argv[1], "query") == 0)
		return query(id);
	if (argc == 3 && strcmp(argv[1], "requeue") == 0)
		return requeue(id, false);
	if (argc == 3 && strcmp(argv[1], "requeue-ended") == 0)
		return requeue(id, true);
	if (argc == 3 && strcmp(argv[1], "start") == 0)
		return start(id);
	if (argc == 4 && strcmp(argv[1], "hold") == 0)
		return hold(id, argv[3]);
	if (argc == 4 && strcmp(argv[1], "hold-restarted") == 0)
		return hold_restarted(id, argv[3]);
	if (argc == 4 && strcmp(argv[1], "comment") == 0)
		return comment(id, argv[3], false);
	if (argc == 5 && strcmp(argv[1], "release") == 0)
		return release_as(id, argv[3], argv[4]);
	if (argc == 5 && strcmp(argv[1], "describe") == 0)
		return describe(id, argv[3], argv[4]);
	if (argc == 5 && strcmp(argv[1], "submit") == 0)
		return resubmit(id, argv[3], argv[4]);
	return usage();
}

int main(int argc, char **argv)
{
	uint64_t id;
	int r;

	if (argc < 3)
		return usage();
	slurm_init(NULL);
	r = node_verb(argc, argv);
	if (r == NODE_NO_VERB)
		r = limits_verb(argc, argv);
	if (r == LIMITS_NO_VERB)
		r = waiting_verb(argc, argv);
	if (r == WAITING_NO_VERB)
		r = parse_u64(argv[2], UINT32_MAX - 1, &id) == 0
			    ? run(argc, argv, (uint32_t)id)
			    : usage();
	slurm_fini();
	return r;
}
