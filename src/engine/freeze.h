/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FREEZE_H
#define JOBCR_ENGINE_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject/remote.h"
#include "inject/tracee.h"
#include "kernel/proc.h"
#include "util/err.h"

/*
 * The tree of a job: found, stopped, and let go or killed.  Everything is
 * done by the one OS thread that calls tree_freeze.
 */

struct frozen_thread {
	pid_t tid, ns_tid;
	int proc_fd; /* /proc/PID/task/TID, owned by the tree */
	struct tracee tracee;

	/* Taken by tree_freeze, before anything was injected. */
	struct user_regs_struct regs_resume; /* what the thread goes on with;
						already set in it */
	struct user_regs_struct regs_image;  /* for a restored thread */
	uint64_t sigmask;                    /* the real one, not ppoll's */
	struct rseq_config rseq;             /* address 0: none */
	uint8_t *siginfo;                    /* private queue, 128 bytes each */
	size_t nsiginfo;
};

struct frozen_task {
	pid_t pid, ns_pid;
	int proc_fd; /* /proc/PID, owned by the tree */
	int pidfd;   /* owned by the tree */
	struct proc_stat stat;
	struct proc_status status;
	bool zombie; /* see stat.exit_status; it has no threads any more */

	struct frozen_thread *threads; /* [0] is the leader; none: zombie */
	size_t nthreads;
	uint8_t *siginfo; /* shared queue, 128 bytes each */
	size_t nsiginfo;

	/* For the dump side: made by it with remote_new, freed by
	 * tree_thaw, tree_kill and tree_free. */
	struct remote *remote;

	bool lost; /* a thread has ended: it may have executed a program */
	bool leader_dead; /* seen to have ended, at the freeze */
};

struct frozen_tree {
	struct frozen_task *tasks; /* parents before their children */
	size_t ntasks;
	size_t nthreads;     /* of all tasks */
	uint64_t started_ns; /* monotonic: the first stop was asked for */
	uint64_t stopped_ns; /* monotonic: everything was stopped */
	int awake_fd;        /* until tree_rest */
	bool blind;          /* nobody knows who uses syscall user dispatch */
};

/*
 * Which processes belong to the job: all of init_pid's pid namespace and
 * their descendants, without init_pid itself; or, when that is 0, root_pid
 * and its descendants.  A zombie that only waits for init is no member.
 */
struct tree_members {
	pid_t init_pid, root_pid;
};

/*
 * Find the members as they are at this moment without stopping or touching
 * any, for the preflight.  threads have tid, ns_tid and proc_fd only.
 * -ESRCH: there is none.
 */
int tree_scan(const struct tree_members *members, struct frozen_tree *ret,
	      struct err *err);

/*
 * Stop all threads of all members, also those that are born meanwhile, and
 * take what must be read before anything is injected.  Calls that our stop
 * interrupted are turned into calls that are made again.  Not done within
 * deadline_ns from now: -ETIMEDOUT naming who did not stop and why.  On
 * failure every thread goes on as it was (one that does not even stop, when
 * the caller has ended).
 */
int tree_freeze(const struct tree_members *members, uint64_t deadline_ns,
		struct frozen_tree *ret, struct err *err);

/*
 * The same, but who has one of these doors open is stopped last: when nobody
 * waits at any of them, at the latest patience_ns after all others stand.
 */
struct doors;
int tree_freeze_last(const struct tree_members *members, uint64_t deadline_ns,
		     const struct doors *doors, uint64_t patience_ns,
		     struct frozen_tree *ret, struct err *err);

/*
 * From the freeze on processors do not sleep (awake.h): until here, at the
 * latest until the tree is thawed or killed.
 */
void tree_rest(struct frozen_tree *tree);

/*
 * Let all go on as if nothing had happened; what was stopped by a signal of
 * its own stays so.  Remotes are freed (memory zeroed) first.  Goes through
 * to the end; the first failure is told (a task that was killed meanwhile
 * is none).  The tree is then only good for tree_free.
 */
int tree_thaw(struct frozen_tree *tree, struct err *err);

/*
 * Kill all while they are stopped: no instruction of the job runs any more.
 * Returns when every thread has been waited for; -ETIMEDOUT: some hang in the
 * kernel on their way out.  Never touches init.
 */
int tree_kill(struct frozen_tree *tree, struct err *err);

/* Forget; thaws first what is still stopped.  In any state, NULL too. */
void tree_free(struct frozen_tree *tree);

#endif
