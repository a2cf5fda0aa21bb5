/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_LEASE_H
#define JOBCR_STORAGE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * Which run of a job is the one that may run.  Each start of a job takes the
 * next epoch: a file lease.EPOCH in the job's directory, made with O_EXCL, of
 * two blocks.  The first is written by the node that runs the job, again and
 * again with a higher beat; the second by whoever took a later epoch.  So a
 * write of the old node that was on its way for minutes can neither bring an
 * epoch back nor hide that it has ended.
 *
 * A beat says that the job may run for length_ms from the moment before it
 * was written, as the holder's clock counts.  An observer that has seen the
 * same beat for that long by its own clock knows that it does not run; clocks
 * are never compared.
 *
 * The files belong to the job's user, who can write anything into them; that
 * harms nobody else.  Calls act with the rights of user (NULL: as they are).
 * -EKEYREVOKED stands for an epoch that has ended: no file system says that.
 */

#define LEASE_NODE_SIZE 64
#define LEASE_BOOT_SIZE 40
#define LEASE_BLOCK     256
#define LEASE_MS_MAX    3600000u
#define LEASE_EPOCH_MAX 0x7fffffffu

struct lease {
	uint32_t epoch;
	uint32_t base;  /* generation that the run began from; 0: none */
	uint32_t first; /* its own generations have this number or a higher
			   one; 0: the run has not begun */
	uint64_t beat;
	uint32_t length_ms;
	bool released;              /* no process of it is left */
	bool ended;                 /* a later epoch was taken */
	bool over;                  /* and nothing of this one runs */
	char node[LEASE_NODE_SIZE]; /* safe as a host name */
	char boot[LEASE_BOOT_SIZE]; /* kernel's boot id of that node */
};

/* Of this node; node is what others know it by. */
int lease_identity(const char *node, struct lease *ret, struct err *err);

/* Was it taken by the same node since the same boot? */
bool lease_same_place(const struct lease *a, const struct lease *b);

/*
 * The newest epoch's.  -ENOENT: there is none.  -EBADMSG: torn or not one of
 * ours; ret->epoch is right then.
 */
int lease_read(int job_fd, const struct user_id *user, struct lease *ret,
	       struct err *err);

/*
 * Take the epoch after the newest one and tell those before it that they
 * have ended.  mine: node, boot and length_ms; base and first 0 unless the
 * run begins at once, which it may when this is the first epoch.  It becomes
 * what was written.  durable: on disk, with its directory, before it
 * returns.  -EEXIST: somebody else was faster.
 */
int lease_take(int job_fd, const struct user_id *user, bool durable,
	       struct lease *mine, struct err *err);

/*
 * One more beat.  0: at the end of it no later epoch had been taken, and the
 * lease holds for its length from before the call.  -EKEYREVOKED: the epoch has
 * ended.  -ENOENT: the file is gone.
 */
int lease_renew(int job_fd, const struct user_id *user, struct lease *mine,
		struct err *err);

/* Nothing of the run is left: nobody need wait. */
int lease_release(int job_fd, const struct user_id *user, struct lease *mine,
		  struct err *err);

/*
 * Those before mine are over.  The run begins, from generation base: what is
 * or was begun by then under a higher number does not count.  Durable.
 * -EKEYREVOKED: mine has ended meanwhile.
 */
int lease_begin(int job_fd, const struct user_id *user, struct lease *mine,
		uint32_t base, struct err *err);

/* Has no later epoch been taken?  -EKEYREVOKED. */
int lease_check(int job_fd, const struct user_id *user, uint32_t epoch,
		struct err *err);

/* Remove those up to an epoch of a job that has no snapshots. */
void lease_remove(int job_fd, const struct user_id *user, uint32_t epoch);

/* An observer of all epochs before its own. */
struct lease_watch {
	uint32_t seen;     /* checksum of what was there */
	uint64_t since_ns; /* by its clock; 0: not looked yet */
	uint64_t length_ms;
	struct lease last; /* the newest that is not over */
};

/*
 * Look once.  Returns 1 when each is released, over, or has not changed for
 * its length (at least min_ms) by the given clock; else 0.  A file that
 * cannot be understood counts as held.  An error is no look.
 */
int lease_watch_look(int job_fd, const struct user_id *user, uint32_t before,
		     uint32_t min_ms, uint64_t (*clock)(void),
		     struct lease_watch *w, struct err *err);

/* It is known by other means that this epoch does not run. */
int lease_mark_over(int job_fd, const struct user_id *user, uint32_t epoch,
		    struct err *err);

/*
 * Was a generation published by a run that was no longer the one?  Numbers
 * are given in order, so it lies between the base of a later run and the
 * first of that run's own.
 */
struct lease_history {
	struct {
		uint32_t base, first;
	} * runs; /* owned by the caller: free */
	size_t count;
};
/* With the rights of the caller. */
int lease_history_read(int job_fd, struct lease_history *ret, struct err *err);
bool lease_is_late(const struct lease_history *h, uint32_t generation);

/* The lowest number above this one that is not late. */
uint32_t lease_next_number(const struct lease_history *h, uint32_t number);

#endif
