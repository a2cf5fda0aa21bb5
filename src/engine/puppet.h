/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PUPPET_H
#define JOBCR_ENGINE_PUPPET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject/remote.h"
#include "resource/restore.h"
#include "util/err.h"
#include "util/spans.h"

/*
 * Where a puppet lives that has left its own memory: a page of code and a
 * buffer, and behind them the mappings of the kernel, until the job's places
 * for them are free.
 */
#define PUPPET_AGENT_CODE   4096ull
#define PUPPET_AGENT_BUFFER (64ull << 10)
#define PUPPET_SPECIALS     3 /* [vvar], [vvar_vclock], [vdso] */
struct puppet_home {
	uint64_t start, end;            /* start 0: it runs its program still */
	uint64_t from[PUPPET_SPECIALS]; /* as the kernel had mapped them */
	uint64_t parked[PUPPET_SPECIALS];
	uint64_t len[PUPPET_SPECIALS]; /* 0: this kernel has none */
};

struct puppet_fd {
	uint32_t object;
	int fd;
};
#define PUPPET_LENT 253 /* in one message: SCM_MAX_FD */

/*
 * A process that is being built.  It is stopped whenever no remote call is
 * under way, has all signals blocked, and dies with the worker.
 */
struct puppet {
	struct restore_task task;      /* first: resources are given this */
	bool helper;                   /* leaves before the end */
	bool gone;                     /* left, or died its recorded death */
	struct restore_thread *inside; /* the remote is begun in it, or NULL */
	int channel; /* descriptors go to it through this; -1: none yet */
	int far_end; /* the number of the other end in it */
	struct puppet_home home;
	/* inherit.c: mappings of the job that it has already (tag: which
	 * block), and the pages in them (tag: whose they are). */
	struct spans blocks, held;
	/* lend.c: descriptors in it that are only there to be mapped. */
	struct puppet_fd *lent;
	size_t nlent, next_vma;
	size_t lent_max; /* as many as its limit of open files allows */
	uint64_t vdso; /* where the kernel's is, once memory was left */
};

static inline struct puppet *puppet_of(struct restore_task *task)
{
	return (struct puppet *)task;
}

/* A `syscall` instruction in it. */
uint64_t puppet_syscall_at(const struct puppet *p);

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

/*
 * A userfaultfd(2) of its memory, owned by the caller; *ret_fd negative: this
 * kernel gives none.
 */
int puppet_faultfd(struct puppet *p, uint64_t flags, int *ret_fd,
		   struct err *err);

/* Kill and wait for it; in any state, twice too. */
void puppet_kill(struct puppet *p);

/* Forget what we hold of it. */
void puppet_done(struct puppet *p);

#endif
