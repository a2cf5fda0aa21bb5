/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SHIM_SHIM_H
#define JOBCR_SHIM_SHIM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "util/err.h"

/* What the command line says; strings are borrowed from it. */
struct shim_options {
	const char *run_dir;
	const char *job_id;
	const char *name;
	const char *carry;
	const char *options; /* wire/job_options.h */
	const char *libexec;
	const char *cwd;
	uint32_t slurm; /* a Slurm job: its id */
	uid_t uid;
	gid_t gid;
	gid_t groups[1024];
	size_t ngroups;
	bool have_groups;
	bool no_new_privs;
	uint64_t dropped_caps; /* from its bounding set */
	bool have_nice, have_oom;
	int nice, oom_score_adj;
	bool restore;
	/* Descriptor 0: the terminal to be like; 1: see terminal.h.  A restore:
	 * somebody will come to look, if it has one. */
	bool pty;
	uint32_t generation; /* to be restored */
	int umask;           /* -1: as it is */
	struct rlimit limits[RLIM_NLIMITS];
	bool have_limit[RLIM_NLIMITS];
	int spec_fd;  /* arguments and environment of the task; -1 */
	int ready_fd; /* told when the task runs, or why not; -1 */
	pid_t child;  /* launch.h; 0: none */
	pid_t init;
};

/* Exit statuses of our own, as those of env(1) and nohup(1). */
#define EXIT_SHIM    125 /* the supervisor could not do its work */
#define EXIT_EXEC    126 /* the command could not be executed */
#define EXIT_NO_FILE 127 /* there is no such command */

/* The job's namespaces. */
struct shim_spaces {
	pid_t init;     /* pid 1, as we see it */
	int init_pidfd; /* by which children enter the mount namespace */
	int init_fd;    /* closing it ends init and all that is left, unless
			   it is sheltered */
};

/*
 * On the channel to init, one byte each.  It answers 0 when its mounts are
 * made, and names every signal it got.
 */
#define INIT_SHELTER                                                           \
	's'                /* with a descriptor: outlive the supervisor until  \
			      that hangs up */
#define INIT_RETURN    'r' /* no more */
#define INIT_SHELTERED 200
#define INIT_RETURNED  201

/*
 * Init's part: never returns.  channel is its end of the socket pair; host_ipc:
 * it makes no IPC namespace.
 */
void init_run(int channel, bool host_ipc) __attribute__((noreturn));

/*
 * Make pid and mount namespaces with init in them, and an IPC namespace unless
 * host_ipc; or enter those whose init the plugin made.  Children of the caller
 * are born in the pid namespace from then on; spaces_enter puts one into the
 * others.
 */
int spaces_make(bool host_ipc, struct shim_spaces *ret, struct err *err);
int spaces_adopt(pid_t init, int init_fd, struct shim_spaces *ret,
		 struct err *err);
int spaces_enter(const struct shim_spaces *spaces);

/*
 * In init: enter an IPC namespace of its own, with the limits that the one
 * before had, and show its message queues at /dev/mqueue where the node shows
 * its own.  0, or a negative errno.
 */
int ipc_make(void);

/* Offsets for children born from now on. */
int spaces_set_time(int64_t monotonic_ns, int64_t boottime_ns, struct err *err);

/* A task that was started: in the spaces, not pid 1, leader of a session. */
struct shim_task {
	pid_t pid;    /* as we see it */
	pid_t ns_pid; /* inside */
	int status;   /* on failure: EXIT_* to end with */
};

/*
 * Start the command; mask is the signal mask that it begins with, terminal its
 * controlling terminal and standard files (-1: those are ours).
 */
int task_start(const struct shim_options *opt, const struct shim_spaces *spaces,
	       const sigset_t *mask, int terminal, struct shim_task *ret,
	       struct err *err);

/*
 * A puppet with the given pid inside, and no more than the hard limits of the
 * options; puppet_fd is its program (O_PATH).
 */
int task_spawn_puppet(const struct shim_options *opt,
		      const struct shim_spaces *spaces, int puppet_fd,
		      pid_t ns_pid, pid_t *ret_pid, struct err *err);

/* The innermost pid of a process. */
int task_ns_pid(pid_t pid, pid_t *ret, struct err *err);

/*
 * Supervise until the job has ended; then end as it did.  mask: as it was
 * when the program began.  Returns only when the job could not be started:
 * the EXIT_* to end with.
 */
int supervisor_run(const struct shim_options *opt, const sigset_t *mask,
		   struct err *err);

#endif
