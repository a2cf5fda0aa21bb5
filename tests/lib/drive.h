/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_DRIVE_H
#define JOBCR_TESTS_LIB_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/engine/engine.h"
#include "util/err.h"

/*
 * The engine without daemon, command line or scheduler.  A job has what a
 * real one has: a supervisor (a child of the test, parent of the tree's
 * root), and an init that reaps, in pid and mount namespaces of their own.
 * Each checkpoint and each restore runs in a process of its own, as a worker
 * would; it is killed when it takes longer than a minute.
 *
 * Everything dies with the test.  Needs root.
 */
struct drive_job;

struct drive_place {             /* where, and as whom, a job runs */
	const char *hostname;    /* NULL: the host's UTS namespace */
	int64_t monotonic_ahead; /* ns: this node's clock against the host's;
				    for drive_start only */
	uid_t uid;
	gid_t gid;
	const char *output;       /* file appended to by stdout and stderr */
	const char *cwd;          /* NULL: stays */
	const char *const *local; /* as of checkpoint_args */
	bool host_ipc;            /* no IPC namespace of its own */
	unsigned long cpus; /* of the allocation, a bitmap; 0: the test's */
	/* Called in the supervisor before all of the job is born; or NULL. */
	void (*prepare)(void);
};

/* Start argv (with env) as a new job. */
int drive_start(const struct drive_place *place, char *const argv[],
		char *const envp[], struct drive_job **ret, struct err *err);

struct drive_outcome {
	int result; /* of the engine: 0 or a negative errno */
	struct err err;
	size_t refused;        /* findings */
	char finding[16][600]; /* "pid comm fd: what: remedy" */
	struct checkpoint_result checkpoint;
	struct restart_result restart;
	uint64_t peak_rss_kb; /* of the worker */
	char shelter[8];      /* s: sheltered, u: put back; S, U: it did not
				 stand still then */
};

/* Of the snapshots that follow; PACK_AUTO at first. */
void drive_compress(enum pack_policy compression);

/* Into how many files their pages go; 1 at first. */
void drive_stripe(unsigned int files);

/*
 * Workers from now on: under a kernel that older.h describes; blind: without
 * BPF, too.
 */
void drive_older(bool on, bool blind);

/* Of the snapshots that follow: is there a quick look at mappings? At first. */
void drive_quick(bool on);

/* Called in the worker of the snapshots that follow; NULL: no more. */
void drive_before_publish(void (*hook)(void));

/* Of the snapshots that follow: none is published, -EIO. */
void drive_unpublished(bool on);

/*
 * Of all that follow: what jobs write is watched from a checkpoint on that they
 * survive, and from a restore on, and not saved again.
 */
void drive_watch(bool on);

/*
 * Of the restores that follow: who launches them has these capabilities dropped
 * from its bounding set, or no_new_privs.  At first none, and not.
 */
void drive_launcher(uint64_t dropped, bool no_more);

/*
 * Snapshot into directory dir, made here for the job's user.  kill: the tree
 * dies after the publish.  Returns the engine's result.
 */
int drive_checkpoint(struct drive_job *job, const char *dir, bool kill,
		     struct drive_outcome *ret);

/*
 * The same with kill and page mode pin, but the whole job is killed (SIGKILL
 * for every process, init too) and dead before the first page is read.
 */
int drive_checkpoint_doomed(struct drive_job *job, const char *dir,
			    struct drive_outcome *ret);

/*
 * drive_checkpoint with kill and page mode stop, with a shelter that only
 * notes what was asked of it.  outlived: the job ends meanwhile.
 */
int drive_checkpoint_sheltered(struct drive_job *job, const char *dir,
			       bool outlived, struct drive_outcome *ret);

/*
 * drive_checkpoint, but the worker is killed (SIGKILL) delay_ns after the
 * phase begins.  Returns -ECANCELED when it was killed in time.  pin: in page
 * mode pin; the job goes on in either case.
 */
int drive_checkpoint_killed(struct drive_job *job, const char *dir, bool pin,
			    enum engine_phase phase, uint64_t delay_ns,
			    struct drive_outcome *ret);

/* Restore dir in fresh namespaces. */
int drive_restore(const struct drive_place *place, const char *dir,
		  struct drive_job **ret, struct drive_outcome *outcome);

/*
 * The same, but the worker is killed delay_ns after the phase begins: then
 * -ECANCELED, and how many processes of the job are left 2 s later.
 */
int drive_restore_killed(const struct drive_place *place, const char *dir,
			 enum engine_phase phase, uint64_t delay_ns,
			 size_t *ret_left, struct drive_outcome *outcome);

/* Outer pids. */
pid_t drive_root_pid(const struct drive_job *job);
pid_t drive_init_pid(const struct drive_job *job);

/* Wait status of the root; -ETIMEDOUT. */
int drive_wait(struct drive_job *job, uint64_t timeout_ns, int *ret_status,
	       struct err *err);

/* Kill whatever is left of the job, and forget it; NULL too. */
void drive_end(struct drive_job *job);

#endif
