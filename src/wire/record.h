/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_RECORD_H
#define JOBCR_WIRE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/control.h"

/*
 * What the children of jobcrd know of a job and tell each other: small files
 * of fixed structs, RUNDIR/jobs/JOBID/NAME.rec, root's alone, replaced as a
 * whole, gone with the job's run directory.  One writer per name.  They
 * outlive a restart of jobcrd; one of another build or size is as good as
 * none.
 */
#define RECORD_MAGIC 0x6a637231u

/* The newest checkpoint of this run, by the child that made it. */
#define RECORD_LAST "last"
struct record_last {
	uint32_t magic;
	uint32_t generation; /* 0: there is none */
	char cause[16];
	uint64_t at_ns;   /* CLOCK_REALTIME: when it was durable */
	uint64_t at_mono; /* CLOCK_MONOTONIC, the same */
	/* Without what it took to find whole what is borrowed. */
	uint64_t frozen_ns, total_ns, pages_ns, page_bytes;
	uint64_t borrowed_bytes; /* beside page_bytes */
	uint64_t tree_bytes; /* of memory that the tree had just before */
	uint64_t failed_ns;  /* CLOCK_REALTIME: of a later failure; 0 */
	int32_t failed;      /* its errno */
	char text[256];      /* and what it said */
};

/* A checkpoint or restore under way; gone when it is over. */
#define RECORD_DOING "doing"
struct record_doing {
	uint32_t magic;
	int32_t pid;       /* of the child that does it */
	uint64_t since_ns; /* CLOCK_MONOTONIC */
	char what[16];     /* "checkpoint", "restore" */
	char cause[16];
	char phase[24];
	uint64_t expected_ns; /* how long the last one took; 0: not known */
};

/* A snapshot in the fast directory, until it is in the store. */
#define RECORD_FLUSH "flush"
struct record_flush {
	uint32_t magic;
	uint32_t generation;
	uint64_t done, total; /* bytes; total 0: it has not begun */
	char failed[256];     /* why it did not get there, last time */
};

/*
 * What the supervisor answers to CONTROL_INFO, whenever it changes, for those
 * who ask while it is suspended.
 */
#define RECORD_INFO "info"
struct record_info {
	uint32_t magic;
	struct control_info info;
};

/*
 * What is meant to happen to the job, by the pass of jobcrd that looks at all
 * jobs of the node; the times with _mono are of CLOCK_MONOTONIC and its own.
 */
#define RECORD_PLAN "plan"
enum plan_source {
	PLAN_NONE,   /* no snapshot is planned */
	PLAN_USER,   /* the job's own --jobcr-interval */
	PLAN_SITE,   /* Interval in jobcr.conf */
	PLAN_WINDOW, /* the window is too short: WindowInterval */
};
#define PLAN_NEVER UINT32_MAX

struct record_plan {
	uint32_t magic;
	uint32_t interval_s; /* in use; 0: none */
	uint32_t source;     /* enum plan_source */
	uint32_t automatic;  /* the interval is Young/Daly's */
	uint32_t needed_s;   /* until it may be killed; 0: not known yet */
	uint32_t window_s;   /* GraceTime + KillWait; 0: not known, PLAN_NEVER:
				nothing preempts this job */
	uint64_t bytes;      /* of pages that it is reckoned with */
	uint64_t next_ns;    /* CLOCK_REALTIME: next one due; 0: none */
	uint64_t end_ns;     /* CLOCK_REALTIME of this node: the job's time
				limit; 0: none or not known */
	uint64_t limit_ns;   /* CLOCK_REALTIME: it is requeued then, before its
				time limit; 0: no */
	uint32_t skipped;    /* in a row: nothing had changed */
	uint32_t failures;   /* in a row */
	char text[256];      /* a warning for people, or "" */
	uint64_t since_mono, look_mono, tree_bytes;
};

/* How much time Slurm gives the job, as it said last. */
#define RECORD_LIMITS "limits"
struct record_limits {
	uint32_t magic;
	uint32_t window_s;
	uint32_t limit_s;  /* how long it may run in all */
	uint64_t end_mono; /* 0: for ever */
	uint64_t look_mono;
};

/*
 * The last turn of a snapshot that was due, by the child that took it: what
 * came of it, and how the tree looked when it had been let go.  One for the
 * interval, one for the time limit.
 */
#define RECORD_TURN       "turn"
#define RECORD_TURN_LIMIT "turn-limit"
#define TURN_SKIPPED      1

struct record_turn {
	uint32_t magic;
	uint32_t number;   /* counts turns */
	int32_t result;    /* 0: made, TURN_SKIPPED, negative: failed */
	uint32_t skipped;  /* in a row */
	uint32_t failures; /* in a row */
	uint32_t generation;
	uint64_t due_mono, ended_mono;
	uint64_t mark; /* see kernel/tree.h; 0: says nothing */
};

/* The epoch of this run, and pid 1 of its tree: by who took or renews it. */
#define RECORD_LEASE "lease"
struct record_lease {
	uint32_t magic;
	uint32_t epoch;
	int32_t init_pid;
	uint32_t fenced;     /* it stands still, or is being ended */
	uint64_t init_start; /* in ticks, as /proc/PID/stat has it */
	uint64_t store[2];   /* which directory it is in; 0: not seen yet */
};

/* What the node has managed lately; a record of no job. */
#define RECORD_RATE "rate"
struct record_rate {
	uint32_t magic;
	uint32_t samples;
	uint64_t bytes_per_s; /* of pages to the store */
	uint64_t fixed_ns;    /* what a checkpoint takes besides */
};

/* The newest turn of the nodes in asking for jobs; a record of no job. */
#define RECORD_REQUEUED "requeued"
struct record_rota {
	uint32_t magic;
	uint64_t turn, since_mono; /* CLOCK_MONOTONIC: when it was first seen */
};

/* How the job was submitted has gone to the store in this run. */
#define RECORD_KEPT "kept"
struct record_kept {
	uint32_t magic;
};

/* Why an output file is not kept with snapshots, as it was said last. */
#define RECORD_NOT_KEPT "not-kept"
struct record_not_kept {
	uint32_t magic;
	char text[256];
};

/* That the kernel cannot tell what was written has been said in this run. */
#define RECORD_NOT_WATCHED "not-watched"
struct record_not_watched {
	uint32_t magic;
};

/* Of the node: there was a munged since it was started. */
#define RECORD_MUNGED "munged"
struct record_munged {
	uint32_t magic;
};

/* Of the node, for each job: what is to be retired of it later (writing.h). */
#define RECORD_LATER      "later-" /* and the job */
#define RECORD_LATER_SIZE (sizeof(RECORD_LATER) + JOB_ID_MAX)
struct record_later {
	uint32_t magic;
	uint32_t ended; /* all of it */
	uint64_t since_mono;
};

/* Of the node: when a snapshot has found no room for the last time. */
#define RECORD_NO_ROOM "no-room"
struct record_no_room {
	uint32_t magic;
	uint64_t at_mono;
};

/*
 * magic must be the struct's first member; it is filled in.  job_id NULL: a
 * record of the node, RUNDIR/NAME.rec.
 */
int record_write(const char *run_dir, const char *job_id, const char *name,
		 void *record, size_t size, struct err *err);
/* -ENOENT: none (of this build); *record is zeroed then. */
int record_read(const char *run_dir, const char *job_id, const char *name,
		void *record, size_t size, struct err *err);
void record_remove(const char *run_dir, const char *job_id, const char *name);
/* All of a job that has ended. */
void record_remove_all(const char *run_dir, const char *job_id);

#endif
