/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_STORE_H
#define JOBCR_STORAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/as_user.h"
#include "util/err.h"

/*
 * Where snapshots are:  STORE/CLUSTER/JOBID/GENERATION/ with a manifest that
 * is written last.  All calls act with the rights of user (NULL: as they
 * are).  Generation directories are zero-padded decimals of 10 digits.  A
 * generation under way has the suffix .new and is renamed when durable.
 */

#define STORE_GENERATION_MAX 0x7fffffffu

/* In a generation that is to be kept. */
#define STORE_KEPT "kept"

/* A directory with a manifest is a snapshot; one without is a leftover. */
struct store_generation {
	uint32_t number;
	bool complete;
	bool late; /* of a run that was not the one any more (lease.h): it is
		      not restored */
	bool kept; /* by somebody's wish: see store_keep */
	/* It lies in the fast directory of this node (tier.h), and is complete
	 * there if that is ours; "": in the store, as any other. */
	char fast_node[64];
};

/*
 * Open (create: make, 0700, owned by user) the directory of a job.  -ENOENT:
 * there is none; -EPERM: a directory on the way belongs to somebody else or
 * others can write there.
 */
int store_open_job(const char *store, const char *cluster, const char *job,
		   bool create, const struct user_id *user, int *ret_fd,
		   struct err *err);

/* As with create, of a job that has none: -EEXIST if it does. */
int store_make_job(const char *store, const char *cluster, const char *job,
		   const struct user_id *user, int *ret_fd, struct err *err);

/*
 * As with create, but nothing is waited for: others see the directory, and a
 * crash of the file server may lose it until it is opened to be written to.
 */
int store_enter_job(const char *store, const char *cluster, const char *job,
		    const struct user_id *user, int *ret_fd, struct err *err);

/*
 * Which directory holds the jobs: to tell a job that was removed from a store
 * that is not mounted any more.
 */
int store_identify(const char *store, const char *cluster, uint64_t ret[2],
		   struct err *err);

/* Generations of a job, ascending; the array is owned by the caller. */
int store_list(int job_fd, const struct user_id *user,
	       struct store_generation **ret, size_t *ret_count,
	       struct err *err);

/*
 * Newest complete generation that counts (lease.h: one that a run published
 * when it was no longer the one does not); -ENOENT when there is none.
 */
int store_newest(int job_fd, const struct user_id *user, uint32_t *ret,
		 struct err *err);

/*
 * The newest one after generation that has not come to the store, and is not
 * here either; node: where it is.  0: there is none.
 */
uint32_t store_left_behind(int job_fd, uint32_t generation,
			   const struct user_id *user, char node[64]);

/* -EBADMSG: this generation is one that does not count. */
int store_check_late(int job_fd, uint32_t number, const struct user_id *user,
		     struct err *err);

/*
 * Make a directory for the next generation (one more than the highest that
 * is or was begun) and open it.  Whoever holds *ret_dir_fd (or inherits it)
 * also holds its lock: store_retire leaves it alone.
 */
int store_begin(int job_fd, const struct user_id *user, uint32_t *ret_number,
		int *ret_dir_fd, struct err *err);

/* The same with a number of the caller's choice; -EEXIST: it is taken. */
int store_begin_at(int job_fd, const struct user_id *user, uint32_t number,
		   int *ret_dir_fd, struct err *err);

/* Open a complete generation for reading: in the store, if it is there. */
int store_open(int job_fd, uint32_t number, const struct user_id *user,
	       int *ret_dir_fd, struct err *err);

/*
 * One in a fast directory of this node.  0: it is a copy, which may be damaged
 * by now; 1: it is not in the store yet.  -ENOENT: there is none.  Whoever
 * holds *ret_dir_fd reads it: it is not taken for room.
 */
int store_open_near(int job_fd, uint32_t number, const struct user_id *user,
		    int *ret_dir_fd, struct err *err);

/*
 * Publish: write the manifest (a framed record, made by the caller), fsync
 * it, rename it into place, fsync the directory.  With job_fd >= 0 the
 * generation then loses its .new and job_fd is fsynced.  Only after that
 * does the snapshot exist.  Publishing into an arbitrary directory (--dir)
 * passes job_fd -1.  A failure leaves no manifest behind.
 */
int store_publish(int job_fd, uint32_t number, int dir_fd, const void *manifest,
		  size_t len, const struct user_id *user, struct err *err);

/* Remove an attempt that was not published, or a whole generation. */
int store_discard(int job_fd, uint32_t number, const struct user_id *user,
		  struct err *err);

/* The latter, unless somebody reads it (in_use.h): -EBUSY. */
int store_remove(int job_fd, uint32_t number, const struct user_id *user,
		 struct err *err);

/*
 * Remove all generations, but such as somebody writes, and even those that
 * somebody reads, or (-EBUSY) not; *ret_count: how many complete ones went.
 * The error is of the first that could not, the others go.
 */
int store_empty(int job_fd, bool even_if_read, const struct user_id *user,
		uint32_t *ret_count, struct err *err);

/*
 * The directory of a job gets another name (nothing may have it), or goes
 * with the files that are left in it; by its user, or where they may not, by
 * root.
 */
int store_rename_job(const char *store, const char *cluster, const char *job,
		     const char *to, const struct user_id *user,
		     struct err *err);
int store_remove_job(const char *store, const char *cluster, const char *job,
		     const struct user_id *user, struct err *err);

/*
 * A complete generation is to be kept, or not any more, by a file of its own:
 * it is retired neither by newer ones nor with its job.
 */
int store_keep(int job_fd, uint32_t number, bool wanted,
	       const struct user_id *user, struct err *err);

/* Is the generation in dir_fd? */
bool store_is_kept(int dir_fd, const struct user_id *user);

/* Is there one that is kept? */
int store_keeps(int job_fd, const struct user_id *user, bool *ret,
		struct err *err);

/*
 * Remove what attempts have left that died, however new they are; their
 * numbers stay taken.  Those of node, if its files are all there are (NULL:
 * of no node), and others that nobody has written to for older_s.
 */
int store_tidy(int job_fd, const char *node, unsigned int older_s,
	       const struct user_id *user, unsigned int *ret_count,
	       struct err *err);

/*
 * Keep the newest keep (> 0) complete generations besides those of store_keep,
 * and those that somebody reads; remove older ones, and leftovers of attempts
 * before the newest complete one.
 * The error is of the first that could not be removed.
 */
int store_retire(int job_fd, unsigned int keep, const struct user_id *user,
		 struct err *err);

#endif
