/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_CONTROL_H
#define JOBCR_WIRE_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "wire/job_options.h"

/*
 * Talking to the supervisor of a job: SOCK_SEQPACKET at
 * RUNDIR/jobs/JOBID/control, for root only (SO_PEERCRED is checked).  Fixed
 * structs in host byte order: both ends are of one build on one node.
 */
#define CONTROL_MAGIC 0x6a637231u /* "jcr1" */
#define JOB_ID_MAX    64

enum control_op {
	CONTROL_INFO = 1, /* reply: info */
	CONTROL_HOLD,     /* keep signals for the job back until RELEASE or
			     until this connection ends */
	CONTROL_RELEASE,
	CONTROL_SET_TIME, /* a, b: monotonic and boottime offsets */
	CONTROL_SPAWN,    /* a: inner pid.  reply.value: outer pid.  First the
			     root; further ones, who give birth to orphans,
			     are traced at once and end before RUNNING */
	CONTROL_RUNNING,  /* a: inner pid of the restored root: supervise it;
			     it may have ended already; and << 32 the interval
			     of a local job's snapshots.  b: generation, << 32
			     the level of the CPU that it keeps to, << 40 its
			     file_policy; text: its name, if none is known */
	CONTROL_SIGNAL,   /* a: signal, to the root; b: 1: also while signals
			     are held back */
	CONTROL_WAIT,     /* reply comes when the job ends: wait status */
	CONTROL_STDIO,    /* reply carries three descriptors */
	CONTROL_LEAVE,    /* the tree is about to be killed after a
			     checkpoint; a: generation.  Forgotten when this
			     connection ends and the job is still there */
	CONTROL_ABORT,    /* restore failed: end; a: exit status */
	CONTROL_LINGER,   /* once the tree was ended by a checkpoint, stay
			     until Slurm ends the job: its word on how the
			     job ended is the one to be recorded */
	CONTROL_SHELTER,  /* the tree, which stands still, out of reach of
			     whoever ends the step: see shelter.h.  The reply
			     carries a descriptor: the tree outlives the
			     supervisor until that is closed.  Undone when
			     this connection ends */
	CONTROL_RETURN,   /* undo that */
	CONTROL_GUARD,    /* the reply comes when the root ends (wait status);
			     the supervisor does not end before this
			     connection does */
	CONTROL_ATTACH,   /* with one end of a pair: see terminal.h; a: flags,
			     b: rows << 16 | columns */
	CONTROL_TERMINAL, /* reply: slave and master of the job's terminal, and
			     a file, which with a = 1 has what was typed and not
			     read: the job stands still; value: stopped by
			     ctrl-S.  A restore: it is made */
	CONTROL_PTY,      /* with the master of a pseudo terminal of the job,
			     which stands still as long as thread a lives, 0:
			     of whom is not said; reply: a file with what
			     util/pty_copy.h says */
	CONTROL_QUEUE,    /* the same with a POSIX message queue of the job;
			     util/queue_copy.h */
	CONTROL_KEEP,     /* with a descriptor: to be kept, in the place of the
			     one before.  Without: it comes with the reply, and
			     is not kept any more; -ENOENT: there is none */
	CONTROL_EVENTFD,  /* as CONTROL_QUEUE, with an eventfd of the job;
			     util/eventfd_copy.h */
};

struct control_request {
	uint32_t magic;
	uint32_t op;
	int64_t a, b;
	char text[256];
};

enum control_state {
	CONTROL_STARTING = 1,
	CONTROL_RESTORING,
	CONTROL_ALIVE,
	CONTROL_ENDED,
	CONTROL_LEFT, /* ended by a checkpoint */
	/* Its supervisor does not answer, as Slurm has suspended it; the rest
	 * is what was true when it last changed. */
	CONTROL_SUSPENDED,
};

struct control_info {
	char job_id[JOB_ID_MAX];
	uint32_t state;
	int32_t supervisor_pid, init_pid, root_pid; /* outer */
	int32_t root_ns_pid;
	uint32_t uid, gid;
	uint32_t slurm;      /* a Slurm job: its numeric id, else 0 */
	uint32_t generation; /* restored from, 0: first run */
	uint64_t started_ns; /* CLOCK_REALTIME */
	char name[128];      /* command, for listings */
	char stdout_path[512], stderr_path[512]; /* regular files, else "" */
	char carry[256];   /* prefix of node-local files to carry, or "" */
	uint32_t terminal; /* it has one of its own */
	struct job_options options;
};

struct control_reply {
	uint32_t magic;
	int32_t result; /* 0 or a negative errno */
	int64_t value;
	char text[256]; /* of an error */
	struct control_info info;
};

/*
 * What is left of a local job that has ended, RUNDIR/jobs/JOBID/ended: the
 * supervisor writes it as its last act.
 */
struct control_ended {
	uint32_t magic;
	int32_t wait_status; /* as wait(2) gives it */
	uint64_t ended_ns;   /* CLOCK_REALTIME */
	struct control_info info;
};

/* Exit status of a supervisor whose job was ended by a checkpoint. */
#define EXIT_LEFT 75

/* Connect to the supervisor of a job; -ENOENT when it is not on this node. */
int control_connect(const char *run_dir, const char *job_id, int *ret_fd,
		    struct err *err);

/*
 * One request and its reply; fds, if any, go to ret_fds (room for 3; where
 * there is none: -1).
 */
int control_call(int fd, const struct control_request *req,
		 struct control_reply *ret, int *ret_fds, struct err *err);

/* The same without an answer: for CONTROL_WAIT, whose reply comes later. */
int control_send(int fd, const struct control_request *req, struct err *err);
int control_send_fd(int fd, const struct control_request *req, int pass,
		    struct err *err);
int control_receive(int fd, struct control_reply *ret, int *ret_fds,
		    struct err *err);

/*
 * How a job on this node stands; -ENOENT: never heard of.  A suspended one
 * takes three seconds.
 */
int control_read_info(const char *run_dir, const char *job_id,
		      struct control_info *ret, struct err *err);
int control_read_ended(const char *run_dir, const char *job_id,
		       struct control_ended *ret, struct err *err);

/*
 * All jobs of this node, ended ones too (state CONTROL_ENDED or
 * CONTROL_LEFT), in the order of their start.  Owned by the caller: free.
 * All suspended ones together take three seconds.
 */
int control_list(const char *run_dir, struct control_info **ret,
		 size_t *ret_count, struct err *err);

/* A name that is safe as a path component: [A-Za-z0-9._-], no leading dot. */
int control_check_id(const char *job_id, struct err *err);

#endif
