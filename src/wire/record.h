/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_RECORD_H
#define JOBCR_WIRE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

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
	uint64_t at_ns; /* CLOCK_REALTIME: when it was durable */
	uint64_t frozen_ns, total_ns, pages_ns, page_bytes;
	uint64_t failed_ns; /* CLOCK_REALTIME: of a later failure; 0 */
	int32_t failed;     /* its errno */
	char text[256];     /* and what it said */
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

/* magic must be the struct's first member; it is filled in. */
int record_write(const char *run_dir, const char *job_id, const char *name,
		 void *record, size_t size, struct err *err);
/* -ENOENT: none (of this build); *record is zeroed then. */
int record_read(const char *run_dir, const char *job_id, const char *name,
		void *record, size_t size, struct err *err);
void record_remove(const char *run_dir, const char *job_id, const char *name);

#endif
