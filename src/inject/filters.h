/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_FILTERS_H
#define JOBCR_INJECT_FILTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "inject/bpf.h"
#include "inject/tracee.h"
#include "util/err.h"

/* The filters of system calls that a thread is under. */
struct filter {
	struct sock_filter *code; /* owned: filters_done */
	size_t len;               /* instructions */
	bool log;                 /* SECCOMP_FILTER_FLAG_LOG */
};

struct filters {
	struct filter *list; /* the oldest first */
	size_t count;
};

/* What the kernel allows in all, with so many for each program. */
#define FILTERS_MAX_INSNS 32768u
#define FILTERS_PENALTY   4u

/*
 * Of a stopped thread.  One under none, or in strict mode, has none.
 * -EACCES: this process is under a filter itself, or has no CAP_SYS_ADMIN, so
 * it may not see those of others.
 */
int filters_read(struct tracee *t, struct filters *ret, struct err *err);
void filters_done(struct filters *f);

bool filter_same(const struct filter *a, const struct filter *b);

/* So many of the oldest are the same in both. */
size_t filters_common(const struct filters *a, const struct filters *b);

/*
 * A sleep that was stopped goes on by a call of another number, which the
 * kernel makes in the thread's name: does it pass?
 */
bool filters_let_restart(const struct filters *f);

/* Answers (BPF_*) of all of them to a call. */
unsigned int filters_answers(const struct filters *f,
			     const struct bpf_call *call);

#endif
