/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_DRAIN_TABLE_H
#define JOBCR_DAEMON_DRAIN_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/control.h"
#include "wire/drain_state.h"

/*
 * What is known of the drain of this node, in RUNDIR/drain: mapped by the
 * one process that drains (it holds RUNDIR/drain.lock, and so do its
 * children), and by each that tells a client how it goes.  It outlives them
 * all, so that the next drain knows what the last one did.
 */
#define DRAIN_MAX  1024
#define DRAIN_TEXT 320

/* Times of CLOCK_MONOTONIC unless said otherwise. */
struct drain_row {
	uint32_t change; /* of the table, when this row last did */
	uint32_t state;
	uint32_t uid;
	uint32_t generation;
	int32_t pid;         /* of the child that saves it */
	uint8_t done_before; /* by an earlier drain */
	uint8_t young;       /* started just now: may become one of ours */
	uint8_t seen;        /* Slurm says that it is on the node */
	uint8_t unfit;       /* refused for what Slurm says of it */
	uint64_t retry_ns;   /* DRAIN_WAITING: not before; DRAIN_STARTING:
				waited for at least until then */
	uint64_t since_ns;   /* in this state */
	uint64_t frozen_at_ns;
	uint64_t expected_ns; /* predicted time of its snapshot; 0: unknown */
	uint64_t page_bytes, total_ns, frozen_ns;
	uint64_t away_ns; /* from its stop until it ran elsewhere */
	char job_id[JOB_ID_MAX];
	char before[16]; /* Slurm's state of it when it was first seen */
	char phase[24];
	char node[64];
	char text[DRAIN_TEXT]; /* why not, and what to do */
};

struct drain_table {
	uint32_t magic, size;
	uint32_t change; /* counts up */
	uint32_t count;
	uint32_t hold;          /* requeued jobs are held */
	uint32_t stop;          /* somebody undrains: begin nothing more */
	uint32_t over;          /* nothing is left to be done */
	uint64_t deadline_ns;   /* 0: none */
	char error[DRAIN_TEXT]; /* over, because of this */
	char reason[128];
	struct drain_row rows[DRAIN_MAX];
};

/* Map it, made if need be.  Unmapped by drain_table_close. */
int drain_table_open(const char *run_dir, struct drain_table **ret,
		     struct err *err);
void drain_table_close(struct drain_table *t);

/* -EAGAIN: a drain is under way.  *ret_fd: the lock is held while open. */
int drain_table_lock(const char *run_dir, int *ret_fd, struct err *err);

/* The row of a job; NULL: none.  Or a new one; NULL: no room. */
struct drain_row *drain_find(struct drain_table *t, const char *job_id);
struct drain_row *drain_add(struct drain_table *t, const char *job_id,
			    uint32_t uid);

/* Every change of a row ends with one of these. */
void drain_set(struct drain_table *t, struct drain_row *row,
	       enum drain_state state);
void drain_changed(struct drain_table *t, struct drain_row *row);
void drain_say(struct drain_row *row, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Of a job that has left the node; of one whose fate is not decided yet. */
bool drain_has_left(const struct drain_row *row);
bool drain_is_open(const struct drain_row *row);

#endif
