/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hooks of jobcr in sbatch, srun, slurmd and slurmstepd.  None returns an
 * error: a job must start without checkpoints rather than not at all, and a
 * job with a snapshot must never start again from its beginning.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/spank.h>

#include "environment.h"
#include "launch.h"
#include "options.h"
#include "reap.h"
#include "wire/ask.h"
#include "wire/isa.h"
#include "wire/notify.h"

SPANK_PLUGIN(jobcr, 1)

/* Documented in spank_jobcr(8). */
#define EXIT_STEP_REFUSED 3
#define EXIT_NO_RESTORE   127

/* Looking into a parallel file system under load may take a while. */
#define ASK_TIMEOUT_MS 60000

/* What task_init_privileged leaves for task_init, in the job's side. */
static struct {
	int sock;
	bool restore;
	int environment; /* file for the job, see environment.h; -1: none */
	uint32_t isa;    /* the job is to keep to this level; 0: any */
	/* Why jobcrd could not tell whether a snapshot exists; "": it could. */
	char unknown[512];
} started = { .sock = -1, .environment = -1 };

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (spank_context() != S_CTX_SLURMD)
		options_register(spank);
	return 0;
}

/*
 * In srun: a step would need the checkpoint of srun itself and of tasks that
 * other nodes run.  Refused before the step exists; the batch job goes on.  A
 * job that is to be checkpointed only by default keeps its steps: as long as
 * one runs, its checkpoint is refused.
 */
int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
	struct options options;
	struct wish wish;

	if (spank_context() != S_CTX_LOCAL)
		return 0;
	options_parse(argc, argv, &options);
	options_wish(spank, &options, &wish);
	if (!wish.asked)
		return 0;
	slurm_error("jobcr: srun: steps cannot be checkpointed yet; start the "
		    "program in the batch script without srun, or submit the "
		    "job without --jobcr");
	exit(EXIT_STEP_REFUSED);
}

static bool get_u32(spank_t spank, spank_item_t item, uint32_t *ret)
{
	return spank_get_item(spank, item, ret) == ESPANK_SUCCESS;
}

static bool is_step(spank_t spank, uint32_t step)
{
	uint32_t id;

	return get_u32(spank, S_JOB_STEPID, &id) && id == step;
}

/* The script's own directory below SlurmdSpoolDir is local to the node. */
static void find_spool(spank_t spank, char *ret, size_t size)
{
	char **argv = NULL, *slash;
	int argc = 0;

	ret[0] = '\0';
	if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS ||
	    argc < 1)
		return;
	snprintf(ret, size, "%s", argv[0]);
	slash = strrchr(ret, '/');
	if (slash)
		*slash = '\0';
}

/* A run without jobcr is better than none, but nobody may be misled. */
static void warn_unprotected(const struct err *err)
{
	slurm_error("jobcr: %s: this run cannot be checkpointed", err->text);
}

/*
 * Never back into the start of the job: it would redo, and overwrite, what
 * the snapshot holds.  Held, it waits for the administrator.
 */
static void hold(const struct options *options, const char *job,
		 const char *reason)
{
	char program[4096];

	slurm_error("jobcr: job %s is held: %s", job, reason);
	snprintf(program, sizeof(program), "%s/jobcr-slurm", options->libexec);
	execl(program, "jobcr-slurm", "hold", job, reason, NULL);
	slurm_error("jobcr: %s: %m", program);
	_exit(EXIT_NO_RESTORE);
}

/* What jobcrd said, or that it said nothing. */
static void note_unknown(int r, const struct err *err)
{
	if (r == -ECONNREFUSED || r == -ENOENT || r == -ETIMEDOUT ||
	    r == -EBADMSG)
		snprintf(started.unknown, sizeof(started.unknown),
			 "jobcr: jobcrd of this node does not answer, the job "
			 "may have a snapshot: start jobcrd, then scontrol "
			 "release");
	else
		snprintf(started.unknown, sizeof(started.unknown),
			 "jobcr: %.400s; the job may have a snapshot: set that "
			 "right, then scontrol release",
			 err->text);
}

/*
 * Nobody knows whether there is a snapshot.  The reason can be noted by root
 * only, and root knows of restarts from slurmctld alone: when that does not
 * answer either, check_restart holds without it.
 */
static void hold_restarted(const struct options *options, const char *job)
{
	char program[4096];
	int status = 0;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/jobcr-slurm", options->libexec);
	pid = fork();
	if (pid == 0) {
		execl(program, "jobcr-slurm", "hold-restarted", job,
		      started.unknown, NULL);
		_exit(EXIT_NO_RESTORE);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		return;
	slurm_error("jobcr: job %s is held: %s", job, started.unknown);
	_exit(EXIT_NO_RESTORE);
}

static void ask(const struct options *options, const char *job,
		struct launch *launch)
{
	struct err err = { 0 };
	int r = ask_snapshot(options->run_dir, job, launch->uid, launch->gid,
			     ASK_TIMEOUT_MS, &launch->generation, &err);

	if (r == 0)
		return;
	slurm_error("jobcr: %s: jobcrd cannot tell whether there is a "
		    "snapshot",
		    err.text);
	note_unknown(r, &err);
	hold_restarted(options, job);
}

/* Without it a job does as well as before. */
static void offer_environment(const struct launch *launch, const char *job)
{
	struct err err = { 0 };

	if (environment_open(launch->run_dir, job, launch->uid, launch->gid,
			     &started.environment, &err) < 0)
		slurm_error("jobcr: environment of the job: %s", err.text);
}

static void fill_environment(spank_t spank, int argc, char **argv)
{
	struct options options;
	struct err err = { 0 };
	int fd = started.environment;
	char job[16];
	uint32_t id;

	started.environment = -1;
	if (fd < 0 || !get_u32(spank, S_JOB_ID, &id))
		return;
	options_parse(argc, argv, &options);
	snprintf(job, sizeof(job), "%u", id);
	if (environment_write(spank, options.run_dir, job, fd, &err) < 0)
		slurm_error("jobcr: environment of the job: %s", err.text);
}

int slurm_spank_task_init_privileged(spank_t spank, int argc, char **argv)
{
	char job[16], name[128] = "", spool[4096];
	struct launch launch = { 0 };
	struct options options;
	struct err err = { 0 };
	struct wish wish;

	if (!is_step(spank, SLURM_BATCH_SCRIPT))
		return 0;
	options_parse(argc, argv, &options);
	options_wish(spank, &options, &wish);
	if (!wish.on)
		return 0;
	launch.options = wish.options;
	started.isa = wish.options.isa;
	if (!get_u32(spank, S_JOB_ID, &launch.job) ||
	    !get_u32(spank, S_JOB_UID, &launch.uid) ||
	    !get_u32(spank, S_JOB_GID, &launch.gid)) {
		slurm_error("jobcr: Slurm does not say whose job this is");
		return 0;
	}
	snprintf(job, sizeof(job), "%u", launch.job);
	find_spool(spank, spool, sizeof(spool));
	(void)spank_getenv(spank, "SLURM_JOB_NAME", name, sizeof(name));
	launch.run_dir = options.run_dir;
	launch.libexec = options.libexec;
	launch.name = name;
	launch.carry = spool;
	ask(&options, job, &launch);
	started.restore = launch.generation > 0;
	offer_environment(&launch, job);
	if (launch_start(&launch, &started.sock, &err) == 0)
		return 0;
	if (launch.generation)
		hold(&options, job, err.text);
	warn_unprotected(&err);
	return 0;
}

/*
 * Only here is the count of restarts known.  A restart without a snapshot is
 * said; one that may have a snapshot which nobody can look for must not start
 * over.
 */
static void check_restart(spank_t spank, int argc, char **argv)
{
	char count[16] = "", job[16];
	struct options options;
	uint32_t id;

	if (started.restore ||
	    spank_getenv(spank, "SLURM_RESTART_COUNT", count, sizeof(count)) !=
		    ESPANK_SUCCESS ||
	    atoi(count) == 0 || !get_u32(spank, S_JOB_ID, &id))
		return;
	if (!*started.unknown) {
		slurm_info("jobcr: job %u has no snapshot: it starts from its "
			   "beginning",
			   id);
		return;
	}
	options_parse(argc, argv, &options);
	snprintf(job, sizeof(job), "%u", id);
	hold(&options, job, started.unknown);
}

/* Without it the job may use more than it promised, which a restore finds. */
static void keep_to_level(spank_t spank)
{
	char now[ISA_TEXT] = "", text[ISA_TEXT];
	struct err err = { 0 };

	if (!started.isa)
		return;
	(void)spank_getenv(spank, ISA_VARIABLE, now, sizeof(now));
	if (isa_tunables(started.isa, now, text, &err) < 0)
		slurm_error("jobcr: %s", err.text);
	else if (spank_setenv(spank, ISA_VARIABLE, text, 1) != ESPANK_SUCCESS)
		slurm_error("jobcr: %s cannot be set", ISA_VARIABLE);
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv)
{
	struct err err = { 0 };
	int sock = started.sock;

	if (sock < 0)
		return 0;
	started.sock = -1;
	keep_to_level(spank);
	fill_environment(spank, argc, argv);
	if (launch_ready(sock, &err) < 0) {
		slurm_error("jobcr: %s", err.text);
		_exit(EXIT_NO_RESTORE);
	}
	/* In a restored run, the snapshot's processes take over from here. */
	if (started.restore)
		_exit(0);
	check_restart(spank, argc, argv);
	return 0;
}

/*
 * The extern step of a preempted job gets SIGTERM at once, on every node: its
 * end is the first sign.  It also ends with the job; jobcrd asks Slurm why.
 * With the step goes the /tmp that job_container/tmpfs has made for the job,
 * which may go on for its grace time, and has to be saved: so the step stays
 * until the batch step's tree has ended, as it does when Slurm's time is up.
 */
int slurm_spank_exit(spank_t spank, int argc, char **argv)
{
	struct options options;
	struct err err = { 0 };
	char job[16];
	uint32_t id;

	if (spank_context() != S_CTX_REMOTE ||
	    !is_step(spank, SLURM_EXTERN_CONT) ||
	    !get_u32(spank, S_JOB_ID, &id))
		return 0;
	options_parse(argc, argv, &options);
	snprintf(job, sizeof(job), "%u", id);
	/* Without a jobcrd there is nobody to tell. */
	(void)notify_send(options.run_dir, job, NOTIFY_PREEMPT, 0, &err);
	if (reap_await(options.run_dir, job, options.epilog_wait_s, &err) < 0)
		slurm_error("jobcr: job %s: %s", job, err.text);
	return 0;
}

/* Whatever the job left on this node, and its run directory, ends here. */
int slurm_spank_job_epilog(spank_t spank, int argc, char **argv)
{
	struct options options;
	struct err err = { 0 };
	char job[16];
	uint32_t id;

	if (!get_u32(spank, S_JOB_ID, &id))
		return 0;
	options_parse(argc, argv, &options);
	snprintf(job, sizeof(job), "%u", id);
	if (reap_job(options.run_dir, job, options.epilog_wait_s, &err) < 0)
		slurm_error("jobcr: job %s: %s", job, err.text);
	environment_remove(options.run_dir, job);
	(void)notify_send(options.run_dir, job, NOTIFY_ENDED, 0, &err);
	return 0;
}
