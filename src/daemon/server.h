/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_SERVER_H
#define JOBCR_DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "storage/as_user.h"
#include "util/err.h"

/*
 * jobcrd's loop.  It accepts and forks: whatever may wait or parse happens in
 * a child of its own, which goes on when jobcrd ends.
 */

/* Run until SIGTERM or SIGINT. */
int server_run(const struct conf *conf, struct err *err);

/*
 * Where requests come in: of this node, and of others (*ret_fd -1: Port is
 * 0).  Owned by the caller.
 */
int listen_local(const struct conf *conf, int *ret_fd, struct err *err);
int listen_remote(const struct conf *conf, int *ret_fd, struct err *err);

/*
 * Who asks from other nodes, of count children: in memory that is shared with
 * them.  Each has a number.
 */
struct callers;
int callers_new(size_t count, struct callers **ret, struct err *err);

/*
 * Somebody is there: who has to be killed to make room, and was marked; it
 * does nothing any more.  Negative: nobody.
 */
ssize_t callers_crowd(struct callers *c, const struct sockaddr_storage *from);

void callers_begin(struct callers *c, size_t own,
		   const struct sockaddr_storage *from);
void callers_end(struct callers *c, size_t own);

/*
 * In the child.  The first bytes have come; false: it has to go.  Later, who it
 * is: false: it has to go, or no more of that user's at this time.
 */
bool callers_spoke(struct callers *c, size_t own);
bool callers_admit(struct callers *c, size_t own, uid_t uid);

/* In a child: one request of this node, or of another one (munge). */
int serve_local(const struct conf *conf, int fd);
int serve_remote(const struct conf *conf, int fd, struct callers *callers,
		 size_t own);

/*
 * In a child: is there a snapshot of a Slurm job to go on from?  Answers and
 * closes fd.
 */
struct ask_question;
int serve_ask(const struct conf *conf, const struct ask_question *question,
	      int fd);

/*
 * In a child: a snapshot that is due by the job's plan (plan.h).  One that
 * fails is noted and does no harm, not even to a preemption that comes next:
 * these always end with 0.
 *
 * The interval is over: a snapshot, and the job goes on; unless it slept.
 */
int turn_interval(const struct conf *conf, const char *job_id);
/* The time limit is near: a snapshot, and back into the queue. */
int turn_limit(const struct conf *conf, const char *job_id);

/*
 * In a child, as long as jobcrd lives: what lies in FastDir goes to the store,
 * in children of its own, one snapshot of each user at a time.  What is to be
 * done is seen from the directories alone, so that it goes on after a crash of
 * anything; jobcrd's end is none of what is under way.
 */
int flush_all(const struct conf *conf, pid_t jobcrd);

/*
 * Before a run begins: until what a job has left in the fast directory of
 * another node has come from there, while that node says that it comes; not for
 * longer than an hour.  waits is called every second or so.
 */
void flush_await_others(const struct conf *conf, const char *job_id, int job_fd,
			const struct user_id *user, void (*waits)(void *arg),
			void *arg);

/*
 * In a child: ask slurmctld about each job of Slurm's on this node, and hint
 * the loop at those that are preempted.
 */
int watch_slurm(const struct conf *conf);

/* In a child: jobs whose lease nobody renews get who does: see fence.h. */
int fence_pass(const struct conf *conf);

/* Are there any?  A look at names, no more. */
int watch_needed(const struct conf *conf);

#endif
