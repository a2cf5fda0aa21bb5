/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_TIER_H
#define JOBCR_STORAGE_TIER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * A generation may lie in a fast directory of one node (FastDir) first, below
 * it as below the store: FAST/CLUSTER/JOBID/GENERATION/.  Its number is taken
 * in the store, by an attempt (GENERATION.new) that has nothing but a mark in
 * it: so what holds for numbers, runs and leases is the store's business alone.
 * The same mark is in the fast directory.  When all was copied the attempt is
 * published as any other.
 *
 * Both marks belong to the job's user, who may write what he likes into them:
 * they lead only into a directory that root has made for this, and there to
 * what is his.
 */
#define TIER_MARK "fast"
/* Root's, in FAST/CLUSTER. */
#define TIER_ROOT ".jobcr-fast"

struct tier_mark {
	char node[64];
	char token[33];      /* random: no other generation has it */
	char path[PATH_MAX]; /* FAST/CLUSTER/JOBID */
};

int tier_mark_make(const char *node, const char *fast, const char *cluster,
		   const char *job, struct tier_mark *ret, struct err *err);
bool tier_mark_same(const struct tier_mark *a, const struct tier_mark *b);

/* Durable when this returns 0.  user as in small.h. */
int tier_mark_write(int dir_fd, const struct user_id *user,
		    const struct tier_mark *mark, struct err *err);

/* -ENOENT: there is none.  -EBADMSG: not one of ours. */
int tier_mark_read(int dir_fd, const struct user_id *user,
		   struct tier_mark *ret, struct err *err);

/* FAST/CLUSTER is one of ours; by root. */
int tier_root_make(const char *fast, const char *cluster, struct err *err);

/*
 * FastDir of this node, as its configuration says (borrowed; NULL: none); once,
 * before anything else.  Marks are followed to FAST/CLUSTER/JOBID of it: any
 * other path may lead to what does not answer, and is not even looked at.
 */
void tier_here(const char *fast);

/*
 * The generation of job_fd that lies in its fast directory, as the mark in
 * name (one of job_fd's) says.  -ENOENT: not on this node, or not any more;
 * also where the mark leads to what it may not.  With the rights of the caller.
 */
int tier_resolve(int job_fd, const char *name, uint32_t number, int *ret_fd,
		 struct err *err);

/*
 * Changes as long as a generation is on its way to the store, and who has it
 * says so: by touching the mark there every TIER_BEAT_S seconds, also while it
 * only waits for its turn.
 */
#define TIER_BEAT_S 4
int tier_beat(int job_fd, uint32_t number, const struct user_id *user,
	      struct err *err);
uint64_t tier_progress(int job_fd, uint32_t number, const struct user_id *user);

/*
 * dir_fd, a number that is taken in the store, has the mark of this node, whose
 * fast directory is there and has nothing of it: a worker that was killed there
 * has left it.
 */
bool tier_is_lost(int dir_fd, uint32_t number, const char *node);

/* Whether there is a mark in name, and of which node; "": none. */
void tier_node(int job_fd, const char *name, char ret[64]);

#endif
