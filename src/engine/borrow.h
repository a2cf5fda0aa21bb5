/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_BORROW_H
#define JOBCR_ENGINE_BORROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/engine.h"
#include "images/record.h"
#include "storage/as_user.h"
#include "util/err.h"
#include "util/watches.h"

/*
 * Pages that an earlier generation of the job has and that were not written
 * since: its streams get a second name (a hard link) in the new one, whose
 * index says which pages of them it means.  So each generation is whole by
 * itself, and may be removed without a look at others.
 *
 * What makes that right: watches are in the hands of one process at a time.
 * They name the generation at whose cut they were armed, by the digest of its
 * records, and are given on only when that generation is durable; whoever fails
 * or is killed in between takes them with it, and all is saved again.  Nothing
 * but a page that is there, unwritten in the very memory that the watch was
 * made in, and in the records of that generation is borrowed.
 */
struct borrow;

/*
 * Open what the watches speak of, and give its streams names in args->dir_fd.
 * *ret: NULL where pages cannot be borrowed; why: for the log, or "".
 */
int borrow_open(const struct checkpoint_args *args, struct borrow **ret,
		char *why, size_t room, struct err *err);

/* These pages of a process are as they were: what is worth it is borrowed. */
void borrow_count(struct borrow *b, pid_t ns_pid, uint64_t start, uint64_t end);

/* All were counted. */
void borrow_choose(struct borrow *b);

/*
 * Is the page at start borrowed?  *ret_end: up to where that is so, <= end.
 * Those that are, are noted.
 */
int borrow_take(struct borrow *b, pid_t ns_pid, uint64_t start, uint64_t end,
		bool *ret_taken, uint64_t *ret_end, struct err *err);

#define BORROWED_MAX 32
#define BORROW_NAMES (BORROWED_MAX + 1) /* and the one that is its own */

/* One of the streams that the new generation has from others. */
struct borrowed_stream {
	const char *name;
	uint64_t length;
	uint32_t from;
};
struct borrow_total {
	uint64_t bytes;
	uint32_t extents;
	size_t nstreams;
	struct borrowed_stream streams[BORROWED_MAX];
};

/*
 * The records of what was noted; the first stream that is borrowed is this
 * one of the part.
 */
int borrow_put(struct borrow *b, uint32_t first_stream,
	       const struct img_sink *out, struct borrow_total *ret,
	       struct err *err);

/* Names in the new generation that are not needed after all, and NULL. */
void borrow_unwanted(const struct borrow *b,
		     const char *ret[BORROW_NAMES + 1]);

/* The names stay when they were put; NULL too. */
void borrow_free(struct borrow *b);

#endif
