/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_MODEL_REFUSAL_H
#define JOBCR_MODEL_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * State that cannot be saved whole.  All findings are collected before
 * anything is touched and printed together: pid, object, what, remedy.
 */
struct refusal {
	pid_t pid;   /* inner; 0: what is the job's as a whole */
	int fd;      /* -1: not about a descriptor */
	bool passes; /* it is a moment of something that goes on */
	char comm[32];
	char what[256];   /* "perf event", "shared memory shared with pid 7" */
	char remedy[256]; /* what the user can do */
};

struct refusals {
	struct refusal *list; /* owned: refusals_done */
	size_t count;         /* at most REFUSALS_MAX are kept */
	size_t total;
	int nomem;
};
#define REFUSALS_MAX 1000

void refusals_add(struct refusals *r, pid_t pid, const char *comm, int fd,
		  const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* What was added last is there for a moment by its nature. */
void refusals_passes(struct refusals *r);
void refusals_done(struct refusals *r);

#endif
