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
 * records, and are given on only when that generation is durable; whoever is
 * killed in between takes them with it, and all is saved again, and who fails
 * puts back what they told before (search_disarm).  Nothing
 * but a page that is there, unwritten in the very memory that the watch was
 * made in, and in the records of that generation is borrowed.
 *
 * And nothing that the store has damaged, as far as that can be known in time.
 * With a job that ends its memory ends, so all that is borrowed is read again
 * before that: while the rest is written, by when the tree is pinned.  If
 * something is wrong the tree is still there, and all is saved of it.  A job
 * that goes on can be saved again: of it is read, before it is stopped, what
 * the last generation has written and of older ones an eighth, each time
 * another, so that nothing stays unread for longer than eight snapshots.
 */
struct borrow;

/*
 * Open what the watches speak of, and give its streams names in args->dir_fd.
 * Of a job that goes on it is read as said above.
 * *ret: NULL where pages cannot be borrowed; why: for the log, or "".
 */
int borrow_open(const struct checkpoint_args *args, struct borrow **ret,
		char *why, size_t room, struct err *err);

/* These pages of a process are as they were: what is worth it is borrowed. */
void borrow_count(struct borrow *b, pid_t ns_pid, uint64_t start, uint64_t end);

/* All were counted.  Of a job that ends what is chosen is being read. */
void borrow_choose(struct borrow *b);

/*
 * Is the page at start borrowed?  *ret_end: up to where that is so, <= end.
 * Those that are, are noted.
 */
int borrow_take(struct borrow *b, pid_t ns_pid, uint64_t start, uint64_t end,
		bool *ret_taken, uint64_t *ret_end, struct err *err);

/*
 * All were taken.  Wait until it was read; true: it is damaged, and nothing of
 * it is borrowed any more.  What is to be saved instead: borrow_had.
 */
bool borrow_is_lost(struct borrow *b);

/* As borrow_take, of what was taken until then. */
void borrow_had(const struct borrow *b, pid_t ns_pid, uint64_t start,
		uint64_t end, bool *ret_taken, uint64_t *ret_end);

#define BORROWED_MAX 32

/* One of the streams that the new generation has from others. */
struct borrowed_stream {
	const char *name;
	uint64_t length;
	uint32_t from;
};
struct borrow_total {
	uint64_t bytes;
	uint32_t extents;
	uint64_t waited_ns; /* until it was read */
	const char *lost;   /* why all was saved in the end, or "" */
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

/* The names stay when they were put; NULL too. */
void borrow_free(struct borrow *b);

#endif
