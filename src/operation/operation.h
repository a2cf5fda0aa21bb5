/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_OPERATION_H
#define JOBCR_OPERATION_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "src/wire/request.pb-c.h"
#include "util/err.h"

/*
 * Requests carried out: by jobcrd in a child per request, or by jobcr itself
 * where root has no daemon.  Every call here may take its time.
 */

/* Who asks, as the kernel or munge says. */
struct caller {
	uid_t uid;
	gid_t gid;
	size_t ngroups;
	gid_t *groups; /* borrowed */
	pid_t pid;     /* of the one on this node; 0: on another node */
	int pidfd;     /* of it; -1: the kernel gives none */
	bool embedded; /* pid is ourselves: nothing of it is taken over */
};

struct operation {
	const struct conf *conf;
	const struct caller *caller;
	const Request *req;
	int fds[4]; /* that came with the request: borrowed */
	size_t nfds;
	int peer_fd; /* hung up: nobody waits any more; -1: none */
	/* Told every reply; negative: nobody listens any more. */
	int (*reply)(void *arg, const Reply *reply);
	/* A worker waits at a phase (stepping): go on? */
	bool (*proceed)(void *arg);
	void *arg;
};

/*
 * Do it.  The last reply carries result and text, also of a failure, which
 * is returned too.
 */
int operation_run(const struct operation *op, struct err *err);

/*
 * The one place where it is decided who may do what: the owner, root, Slurm's
 * user and the configured operators.  -EACCES with what is missing.
 */
int operation_authorise(const struct conf *conf, const struct caller *caller,
			uid_t owner, const char *job_id, struct err *err);

/*
 * Of what its caller names by a path or a number, which may be another's by the
 * time it is used: nobody else comes to act as root.
 */
int operation_check_root(const struct caller *caller, uid_t owner,
			 const char *what, struct err *err);

/* Exit statuses of jobcr, stable: jobcr(1). */
enum operation_status {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_USAGE,
	STATUS_REFUSED,     /* -ENOTSUP */
	STATUS_NOT_FOUND,   /* -ENOENT, -ESRCH */
	STATUS_DAMAGED,     /* -EBADMSG, -ENODATA, -EKEYREJECTED */
	STATUS_NOT_ALLOWED, /* -EACCES, -EPERM */
	STATUS_UNREACHABLE, /* -ECONNREFUSED, -EHOSTUNREACH */
	STATUS_TIMED_OUT,   /* -ETIMEDOUT */
};
int operation_exit_status(int result);

/* Before the words of Outcome.copied, .aside and .moved, for those who read them. */
#define OUTCOME_COPIED \
	"it has its own copies of files that are not as they were: "
#define OUTCOME_ASIDE \
	"what was written to its files after the snapshot is now in "
#define OUTCOME_MOVED "its addresses have moved: "

/* Replies with nothing but a result. */
int operation_reply_error(const struct operation *op, int result,
			  const char *text);

#endif
