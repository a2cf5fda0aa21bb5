/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/reading.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/readers.h"
#include "snapshot/extents.h"
#include "storage/depth.h"
#include "util/cleanup.h"

#define BUFFER      (4ull << 20)
#define BUFFERS_MIN 2

struct worker {
	struct reading *reading;
	unsigned int number;
	unsigned int buffers;            /* at most */
	const struct read_piece *pieces; /* its share */
	size_t count;
	struct reading_hand hand;
	pthread_t thread;
	int result;
	struct err err;
};

struct reading {
	struct reading_args args;
	struct worker *workers;
	size_t nworkers;
	struct depth depth; /* of each: what one takes is not another's */

	/* Whether what was read is wanted. */
	pthread_mutex_t lock;
	pthread_cond_t decided;
	enum { WAIT, GO_ON, DROP } state;
	reading_put_fn put;
	void *arg;
};

static void decide(struct reading *r, int state)
{
	(void)pthread_mutex_lock(&r->lock);
	r->state = state;
	(void)pthread_cond_broadcast(&r->decided);
	(void)pthread_mutex_unlock(&r->lock);
}

static bool is_wanted(struct reading *r)
{
	bool wanted;

	(void)pthread_mutex_lock(&r->lock);
	while (r->state == WAIT)
		(void)pthread_cond_wait(&r->decided, &r->lock);
	wanted = r->state == GO_ON;
	(void)pthread_mutex_unlock(&r->lock);
	return wanted;
}

static int take(void *arg, const struct read_piece *piece, const uint8_t *data,
		struct err *err)
{
	struct worker *w = arg;
	struct reading *r = w->reading;

	return is_wanted(r) ? r->put(r->arg, &w->hand, piece, data, err)
			    : err_set(err, -ECANCELED, "not wanted");
}

/* A small job does not wait for memory that it does not need. */
static unsigned int buffers_for(const struct worker *w)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < w->count; i++)
		bytes += w->pieces[i].len;
	bytes = bytes / BUFFER + 1;
	return bytes < w->buffers ? (unsigned int)bytes : w->buffers;
}

static int read_share(struct worker *w, struct err *err)
{
	const struct reading_args *args = &w->reading->args;
	const struct restart_args *restart = args->restart;
	struct reader_limits limits = { .buffer_bytes = BUFFER,
					.buffers = buffers_for(w),
					.no_direct = restart->no_direct,
					.from_cache = 1,
					.depth = &w->reading->depth };
	struct reader *reader = NULL;
	int ret;

	ret = reader_new(restart->dir_fd, &limits, &reader, err);
	if (ret < 0)
		return ret;
	ret = snapshot_open_pages(reader, restart->owner, args->part, err);
	if (ret == 0)
		ret = scatter_new(&w->hand.memory, err);
	if (ret == 0)
		ret = blocks_read(reader, args->blocks, w->pieces, w->count,
				  take, w, err);
	if (ret == 0)
		ret = scatter_flush(w->hand.memory, err);
	scatter_free(w->hand.memory);
	reader_free(reader);
	return ret;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	const struct reading_args *args = &w->reading->args;

	args->settle(args->arg, w->number, w->pieces, w->count);
	w->result = read_share(w, &w->err);
	return NULL;
}

/* Pieces from the first on, of so many bytes at least. */
static size_t take_share(const struct read_piece *pieces, size_t count,
			 uint64_t bytes)
{
	uint64_t here = 0;
	size_t n = 0;

	while (n < count && here < bytes)
		here += pieces[n++].len;
	return n;
}

/* A small job has one thread; each has its buffers. */
static size_t count_workers(const struct restart_args *args, uint64_t bytes,
			    unsigned int *ret_buffers)
{
	uint64_t memory =
		args->buffer_bytes ? args->buffer_bytes : ENGINE_BUFFERS;
	uint64_t n = readers_count(args->readers);

	if (n > bytes / BUFFER)
		n = bytes / BUFFER;
	if (n > memory / BUFFER / BUFFERS_MIN)
		n = memory / BUFFER / BUFFERS_MIN;
	n = n ? n : 1;
	*ret_buffers = (unsigned int)(memory / BUFFER / n);
	return n;
}

/* Equal shares of the streams, so that each reads forward. */
static int start_workers(struct reading *r, struct err *err)
{
	const struct read_piece *pieces = r->args.pieces;
	size_t count = r->args.count;
	uint64_t bytes = 0;
	size_t workers;
	unsigned int buffers;
	int e = 0;

	for (size_t i = 0; i < count; i++)
		bytes += pieces[i].len;
	workers = count_workers(r->args.restart, bytes, &buffers);
	depth_init(&r->depth, reader_depth(buffers), buffers);
	r->workers = calloc(workers, sizeof(*r->workers));
	if (!r->workers)
		return err_num(err, ENOMEM, "threads that read");
	while (count && e == 0) {
		struct worker *w = &r->workers[r->nworkers];

		*w = (struct worker){ .reading = r,
				      .number = (unsigned int)r->nworkers,
				      .buffers = buffers,
				      .pieces = pieces };
		w->count = take_share(pieces, count, bytes / workers + 1);
		pieces += w->count;
		count -= w->count;
		e = pthread_create(&w->thread, NULL, worker_main, w);
		r->nworkers += e == 0;
	}
	return e ? err_num(err, e, "thread that reads") : 0;
}

static int join(struct reading *r, struct err *err)
{
	int result = 0;

	for (size_t i = 0; i < r->nworkers; i++) {
		struct worker *w = &r->workers[i];

		(void)pthread_join(w->thread, NULL);
		if (w->result < 0 && result == 0) {
			result = w->result;
			*err = w->err;
		}
	}
	r->nworkers = 0;
	return result;
}

int reading_begin(const struct reading_args *args, struct reading **ret,
		  struct err *err)
{
	struct reading *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return err_num(err, ENOMEM, "threads that read");
	r->args = *args;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_cond_init(&r->decided, NULL);
	e = start_workers(r, err);
	if (e < 0) {
		reading_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

int reading_end(struct reading *r, reading_put_fn put, void *arg,
		struct err *err)
{
	r->put = put;
	r->arg = arg;
	depth_paused(&r->depth);
	decide(r, GO_ON);
	return join(r, err);
}

void reading_free(struct reading *r)
{
	struct err unused;

	if (!r)
		return;
	decide(r, DROP);
	(void)join(r, &unused);
	(void)pthread_cond_destroy(&r->decided);
	(void)pthread_mutex_destroy(&r->lock);
	depth_done(&r->depth);
	free(r->workers);
	free(r);
}
