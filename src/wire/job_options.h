/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_JOB_OPTIONS_H
#define JOBCR_WIRE_JOB_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What a user may ask for one job: sbatch --jobcr-interval and its like, or
 * jobcr run --interval.  On its way through Slurm and to the supervisor it is
 * one text, "interval=30m,timelimit=5m,signal=USR1@30,isa=x86-64-v3,
 * files=keep,ipc=host,peers=reset", hostile until parsed.
 */
#define JOB_INTERVAL_AUTO UINT32_MAX
#define JOB_OPTIONS_TEXT  128

/* Whose IPC namespace a job is in. */
enum { JOB_IPC_SITE, /* as the site has it */ JOB_IPC_PRIVATE, JOB_IPC_HOST };

/* Connections to others than the job, as PartRecord.peers has it too. */
enum { JOB_PEERS_REFUSE, JOB_PEERS_RESET };

struct job_options {
	uint32_t interval_s;  /* 0: the site's; JOB_INTERVAL_AUTO */
	uint32_t timelimit_s; /* requeue so long before the limit; 0: no */
	uint32_t signal;      /* delivered before the cut; 0: none */
	uint32_t signal_s;    /* ... and so long before it */
	uint32_t isa;         /* uses no more than this level; 0: any */
	uint32_t files;       /* enum file_policy */
	uint32_t ipc;         /* JOB_IPC_* */
	uint32_t peers;       /* JOB_PEERS_* */
};

/* An empty text is no option at all.  -EINVAL names the word. */
int job_options_parse(const char *text, struct job_options *ret,
		      struct err *err);

/* One of the words above: key without "=", its value. */
int job_options_set(struct job_options *options, const char *key,
		    const char *value, struct err *err);

/* The text that parses to the same; room for JOB_OPTIONS_TEXT. */
void job_options_format(const struct job_options *options,
			char ret[JOB_OPTIONS_TEXT]);

/* "90", "90s", "30m", "12h", "2d": seconds, 1 to UINT32_MAX - 1. */
int parse_duration(const char *text, uint32_t *ret);

/* "USR1", "SIGUSR1", "10", "RTMIN+3" (as kill(1) has them): its number. */
int parse_signal(const char *text, uint32_t *ret);

#endif
