/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_LAUNCH_H
#define JOBCR_OPERATION_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "operation/caller.h"
#include "util/err.h"
#include "wire/control.h"

/* Local jobs have ids local-1, local-2 ...; this is their cluster. */
#define LOCAL_CLUSTER "local"
#define LOCAL_PREFIX  "local-"
bool launch_is_local(const char *job_id);

/* Have snapshots of jobs of that cluster a seal? */
bool launch_seals(const struct conf *conf, const char *cluster);

/*
 * Take the next free id by making its directory below RunDir.  Ids that the
 * store knows are not given again.
 */
int launch_new_id(const struct conf *conf, char ret[JOB_ID_MAX],
		  struct err *err);

/*
 * Nodes that share a store do not know of each other's local jobs.  -ENOTSUP:
 * what is in the store under the name of this one is another's.
 */
int launch_check_own(const struct conf *conf, const struct control_info *info,
		     struct err *err);

/* A supervisor that is to be.  Strings and descriptors are borrowed. */
struct launch {
	const char *job_id;
	const char *name;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
	const char *cwd;
	int umask; /* -1: the caller's */
	/* The process whose limits, cgroups and CPUs hold for the job; 0. */
	pid_t like;
	int like_fd; /* its pidfd, if the kernel gives one; -1 */
	struct caller_rights rights;
	bool pty;    /* --pty of the supervisor */
	int spec_fd; /* -1: a restore */
	uint32_t generation;
	const struct job_options *options; /* NULL: none */
	int stdio[3];
	bool own_session; /* detached from the caller's terminal */
	int ready_fd;     /* only for launch_become; -1 */
};

/* Become the supervisor; returns on failure only. */
int launch_become(const struct conf *conf, const struct launch *l,
		  struct err *err);

/*
 * Start it as a child that nobody need wait for; returns when the job runs
 * (or, restore, when it waits for a worker).  *ret_status: an exit status
 * that fits the failure (125, 126, 127).
 */
int launch_start(const struct conf *conf, const struct launch *l,
		 int *ret_status, struct err *err);

/* Wait for what --ready-fd tells. */
int launch_await(int ready_fd, int *ret_status, struct err *err);

/*
 * Arguments and environment as the supervisor takes them, in a sealed memfd;
 * and whether a descriptor is such a one, which its sender cannot change or
 * make us wait for.
 */
int launch_make_spec(char *const *argv, char *const *envp, int *ret_fd,
		     struct err *err);
int launch_check_spec(int fd, struct err *err);

#endif
