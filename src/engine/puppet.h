/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PUPPET_H
#define JOBCR_ENGINE_PUPPET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject/remote.h"
#include "resource/restore.h"
#include "util/err.h"

/*
 * A process that is being built.  It is stopped whenever no remote call is
 * under way, has all signals blocked, and dies with the worker.
 */
struct puppet {
	struct restore_task task;      /* first: resources are given this */
	bool helper;                   /* leaves before the end */
	bool gone;                     /* left, or died its recorded death */
	struct restore_thread *inside; /* the remote is begun in it, or NULL */
	int channel;   /* descriptors go to it through this; -1: none yet */
	int far_end;   /* the number of the other end in it */
	uint64_t vdso; /* where the kernel's is, once memory was left */
};

static inline struct puppet *puppet_of(struct restore_task *task)
{
	return (struct puppet *)task;
}

/* One that exists not yet: of nthreads threads with these numbers. */
int puppet_init(struct puppet *p, pid_t ns_pid, const int32_t *tids,
		size_t nthreads, struct err *err);

/*
 * Take hold of pid, which runs the puppet program: stopped, signals blocked
 * and with their default actions, no descriptor open.
 */
int puppet_seize(struct puppet *p, pid_t pid, struct err *err);

/* Become parent's child; the same is true of it. */
int puppet_fork(struct puppet *parent, int exit_signal, struct puppet *ret,
		struct err *err);

/* Make remote calls possible in a thread of it; begins and ends as needed. */
int puppet_enter(struct puppet *p, struct restore_thread *thread,
		 struct err *err);
int puppet_leave(struct puppet *p, struct err *err);

/* A remote call in its leader; a failure names the process and what. */
int puppet_call(struct puppet *p, const char *what, int64_t *ret_value,
		struct err *err, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5);

/* Kill and wait for it; in any state, twice too. */
void puppet_kill(struct puppet *p);

/* Forget what we hold of it. */
void puppet_done(struct puppet *p);

#endif
