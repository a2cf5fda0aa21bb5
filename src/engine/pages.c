// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One thread (the caller) finds out what is to be read, hands out slices and
 * takes them back in order for the writer; readers fill them meanwhile.  In
 * order, so that a stream has its pages as a restore wants them.
 */
#include "engine/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/block_list.h"
#include "engine/engine.h"
#include "engine/readers.h"
#include "engine/slice.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PAGE           ((uint64_t)IMAGE_PAGE)
#define AHEAD          4 /* slices, so that no reader waits for another */
#define NOT_OURS       2 /* buffers: one to write, one of the meta stream */
#define RECORD_EXTENTS 1024
/* Left to records by what goes to storage early: they must not wait. */
#define SPARE 4

struct pages {
	struct pages_config config;
	struct pages_total total;
	struct block_list *blocks; /* of each stream */
	struct pace pace;

	/* Slices in hand: a ring; [taken, made) are with the readers. */
	struct slice *slices;
	size_t in_hand;
	size_t made, waiting, taken;
	pthread_mutex_t lock;
	pthread_cond_t work, finished;
	struct page_reader {
		struct pages *pages;
		pthread_t thread;
		int home; /* or NEAR_ANY */
	} threads[ENGINE_READERS_MAX];
	unsigned int nthreads, readers;
	bool stop;
	bool early; /* not all is known yet */

	/* The record being filled. */
	pid_t owner_pid;
	uint32_t owner_object;
	Extent extents[RECORD_EXTENTS];
	Extent *extent_ptrs[RECORD_EXTENTS];
	size_t nextents;
};

int pages_new(const struct pages_config *config, struct pages **ret,
	      struct err *err)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(err, -ENOMEM, "pages");
	p->config = *config;
	p->readers = readers_count(config->readers);
	p->in_hand = p->readers + AHEAD;
	if (p->in_hand > config->buffers - NOT_OURS)
		p->in_hand = config->buffers - NOT_OURS;
	p->slices = calloc(p->in_hand, sizeof(*p->slices));
	p->blocks = calloc(config->nstreams, sizeof(*p->blocks));
	if (!p->slices || !p->blocks) {
		free(p->slices);
		free(p->blocks);
		free(p);
		return err_set(err, -ENOMEM, "pages");
	}
	pace_begin(&p->pace, config->compression);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	(void)pthread_cond_init(&p->finished, NULL);
	*ret = p;
	return 0;
}

void pages_stop(struct pages *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	while (p->nthreads)
		(void)pthread_join(p->threads[--p->nthreads].thread, NULL);
}

void pages_free(struct pages *p)
{
	if (!p)
		return;
	pages_stop(p);
	(void)pthread_cond_destroy(&p->finished);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_mutex_destroy(&p->lock);
	for (size_t i = 0; i < p->config.nstreams; i++)
		block_list_done(&p->blocks[i]);
	free(p->blocks);
	free(p->slices);
	free(p);
}

struct pages_total pages_total(const struct pages *p)
{
	return p->total;
}

static bool same_owner(const struct slice *sl, const struct source *s)
{
	return sl->pid == s->range.pid && sl->object == s->object;
}

static bool take_piece(struct pages *p, struct slice *sl,
		       const struct source *s, size_t room)
{
	uint64_t start;
	size_t pages = search_take(p->config.search, room, &start);

	if (!pages)
		return false;
	sl->pieces[sl->npieces++] = (struct slice_piece){
		.address = start,
		.pages = (uint32_t)pages,
		.keep_zero = s->range.over_file,
		.readable =
			s->range.readable && !s->range.common && !s->range.huge,
		.huge = s->range.huge,
	};
	sl->pages += pages;
	return true;
}

/* Put as much of one owner into a slice as it holds. */
static int plan_slice(struct pages *p, struct slice *sl, struct err *err)
{
	size_t room = p->config.buffer_bytes / PAGE;
	int r;

	sl->npieces = sl->pages = 0;
	sl->begun = sl->done = false;
	if (room > SLICE_PIECES)
		room = SLICE_PIECES;
	for (;;) {
		const struct source *s;

		r = search_next(p->config.search, &s, err);
		if (r < 0 || !s)
			return r;
		if (sl->npieces && !same_owner(sl, s))
			return 0;
		sl->pid = s->range.pid;
		sl->ns_pid = s->range.ns_pid;
		sl->proc_fd = s->range.proc_fd;
		sl->pinned = s->pinned;
		sl->object = s->object;
		sl->fd = s->fd;
		if (!take_piece(p, sl, s, room - sl->pages) ||
		    sl->pages == room)
			return 0;
	}
}

static int put_record(struct pages *p, struct err *err)
{
	PagesRecord rec = PAGES_RECORD__INIT;

	if (!p->nextents)
		return 0;
	rec.pid = p->owner_pid;
	rec.object = p->owner_object;
	rec.extents = p->extent_ptrs;
	rec.n_extents = p->nextents;
	p->nextents = 0;
	return img_put(p->config.meta, TAG_PAGES, &rec.base, err);
}

static int put_extent(struct pages *p, const struct slice *sl,
		      const struct slice_extent *e, uint32_t stream,
		      uint64_t offset, struct err *err)
{
	pid_t pid = sl->pid ? sl->ns_pid : 0;
	Extent *x;
	int r;

	if (p->nextents == RECORD_EXTENTS || p->owner_pid != pid ||
	    p->owner_object != sl->object) {
		r = put_record(p, err);
		if (r < 0)
			return r;
	}
	p->owner_pid = pid;
	p->owner_object = sl->object;
	x = &p->extents[p->nextents];
	extent__init(x);
	x->address = e->address;
	x->pages = e->pages;
	x->stream = stream + 1;
	x->offset = offset + e->at * PAGE;
	x->hash = e->hash;
	x->has_nodes = e->nodes != 0;
	x->nodes = e->nodes;
	p->extent_ptrs[p->nextents++] = x;
	p->total.extents++;
	p->total.bytes += e->pages * PAGE;
	return 0;
}

/* A slice that came back: to the writer, and into the index. */
static int write_slice(struct pages *p, struct slice *sl, struct err *err)
{
	uint32_t stripe = (uint32_t)(p->taken % p->config.nstreams);
	uint64_t offset;
	int r;

	if (sl->result < 0) {
		*err = sl->err;
		return sl->result;
	}
	pace_done(&p->pace, sl->effort, sl->kept * PAGE, clock_monotonic_ns());
	r = writer_submit(p->config.writer, p->config.streams[stripe],
			  &sl->buffer, sl->packed.stored, NULL, err);
	if (r == 0 && sl->kept)
		r = block_list_add(&p->blocks[stripe],
				   (uint32_t)(sl->kept * PAGE), &sl->packed,
				   sl->hash, &offset, err);
	for (size_t i = 0; r == 0 && i < sl->nextents; i++)
		r = put_extent(p, sl, &sl->extents[i], stripe, offset, err);
	return r;
}

/* The first that nobody has begun; of those the first that is near. */
static struct slice *choose(const struct pages *p, int home)
{
	struct slice *first = NULL;

	for (size_t i = p->taken; i < p->made; i++) {
		struct slice *sl = &p->slices[i % p->in_hand];

		if (sl->begun)
			continue;
		if (home == NEAR_ANY || sl->buffer.home == home)
			return sl;
		if (!first)
			first = sl;
	}
	return first;
}

static void *reader_main(void *arg)
{
	const struct page_reader *reader = arg;
	struct pages *p = reader->pages;
	struct packer *packer = NULL;
	struct slice *sl;

	near_run(p->config.nearby->near, reader->home);
	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && !p->waiting)
			(void)pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		sl = choose(p, reader->home);
		sl->begun = true;
		p->waiting--;
		(void)pthread_mutex_unlock(&p->lock);
		slice_fill(sl, p->config.nearby, &packer);
		(void)pthread_mutex_lock(&p->lock);
		sl->done = true;
		(void)pthread_cond_signal(&p->finished);
	}
	(void)pthread_mutex_unlock(&p->lock);
	packer_free(packer);
	return NULL;
}

/* Once.  Signals are for the thread that called. */
static int start_readers(struct pages *p, struct err *err)
{
	sigset_t all, old;
	int r = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && p->nthreads < p->readers) {
		struct page_reader *reader = &p->threads[p->nthreads];

		reader->pages = p;
		reader->home = near_nth(p->config.nearby->home, p->nthreads);
		r = pthread_create(&reader->thread, NULL, reader_main, reader);
		if (r == 0)
			p->nthreads++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		return 0;
	pages_stop(p);
	return err_num(err, r, "reader thread");
}

/* Most of a slice is where its middle is. */
static int lies_at(const struct pages *p, const struct slice *sl)
{
	const struct nearby *n = p->config.nearby;
	const struct slice_piece *middle = &sl->pieces[sl->npieces / 2];
	const uint64_t at = middle->address + middle->pages / 2 * PAGE;

	if (!sl->pid || !n->near)
		return NEAR_ANY;
	return sl->pinned ? near_nth(residents_of(n->pinned, sl->pid, at), 0)
			  : nearby_node(n, sl->pid, at);
}

/*
 * A buffer that is not full is as much work, and stands as long where storage
 * hangs: what a process has of that kind waits for the rest of its memory.
 */
static bool is_too_little(const struct pages *p, const struct slice *sl)
{
	return p->early &&
	       (sl->pages + EXTENT_MAX_PAGES) * PAGE <= p->config.buffer_bytes;
}

/* Hand out one more slice; *ret_more false: everything is handed out. */
static int hand_out(struct pages *p, bool *ret_more, struct err *err)
{
	struct slice *sl = &p->slices[p->made % p->in_hand];
	const struct source *more;
	uint64_t began;
	int r;

	/* Look first: a buffer that waits for nothing blocks others. */
	r = search_next(p->config.search, &more, err);
	if (r < 0 || !more) {
		*ret_more = false;
		return r;
	}
	*ret_more = true;
	r = plan_slice(p, sl, err);
	if (r < 0)
		return r;
	if (is_too_little(p, sl)) {
		search_give_back(p->config.search, sl->pid,
				 sl->pieces[0].address);
		return 0;
	}
	if (!p->total.begun_ns)
		p->total.begun_ns = clock_monotonic_ns();
	began = clock_monotonic_ns();
	r = writer_get_buffer_of(p->config.writer, lies_at(p, sl), &sl->buffer,
				 err);
	if (r < 0)
		return r;
	pace_waited(&p->pace, clock_monotonic_ns() - began);
	sl->effort = pace_effort(&p->pace);
	(void)pthread_mutex_lock(&p->lock);
	p->made++;
	p->waiting++;
	(void)pthread_cond_signal(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	return 0;
}

static int take_back(struct pages *p, struct err *err)
{
	struct slice *sl = &p->slices[p->taken % p->in_hand];
	int r;

	(void)pthread_mutex_lock(&p->lock);
	while (!sl->done)
		(void)pthread_cond_wait(&p->finished, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	r = write_slice(p, sl, err);
	(void)pthread_mutex_lock(&p->lock);
	p->taken++;
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

static bool is_oldest_done(struct pages *p)
{
	bool done;

	(void)pthread_mutex_lock(&p->lock);
	done = p->slices[p->taken % p->in_hand].done;
	(void)pthread_mutex_unlock(&p->lock);
	return done;
}

/*
 * What is read goes to storage at once, so that it always has as much to do as
 * there is; a buffer is waited for only when there is nothing to give it.
 */
static bool may_hand_out(struct pages *p)
{
	size_t in_hand = p->made - p->taken;

	return in_hand == 0 || (in_hand < p->in_hand && !is_oldest_done(p) &&
				writer_has_buffer(p->config.writer));
}

/*
 * Few at a time, as they are to be waited for soon, and take CPUs from whoever
 * looks at the next process.
 */
static int may_hand_out_early(const struct pages *p, bool *ret, struct err *err)
{
	unsigned int spare = 0;
	int r = 0;

	*ret = p->made - p->taken < (p->readers + 1) / 2;
	if (*ret)
		r = writer_spare(p->config.writer, &spare, err);
	*ret = *ret && spare > SPARE;
	return r;
}

static int go_a_step(struct pages *p, struct err *err)
{
	bool more = true, may;
	int r;

	for (;;) {
		while (p->made != p->taken && is_oldest_done(p)) {
			r = take_back(p, err);
			if (r < 0)
				return r;
		}
		r = may_hand_out_early(p, &may, err);
		if (r == 0 && may)
			r = hand_out(p, &more, err);
		if (r < 0 || !may || !more)
			return r;
	}
}

int pages_step(struct pages *p, struct err *err)
{
	const enum pack_policy policy = p->config.compression;
	int r;

	/* CPUs are what such a dump lacks. */
	if (policy == PACK_LZ4 || policy == PACK_ZSTD)
		return 0;
	r = start_readers(p, err);
	p->early = true;
	if (r == 0)
		r = go_a_step(p, err);
	p->early = false;
	return r;
}

int pages_settle(struct pages *p, struct err *err)
{
	int r = 0;

	while (r == 0 && p->taken != p->made)
		r = take_back(p, err);
	return r;
}

int pages_run(struct pages *p, struct err *err)
{
	bool more = true;
	int r;

	r = start_readers(p, err);
	if (r < 0)
		return r;
	/* What was given early did not wait: it tells nothing of storage. */
	pace_begin(&p->pace, p->config.compression);
	while (r == 0 && (more || p->taken != p->made)) {
		if (more && may_hand_out(p))
			r = hand_out(p, &more, err);
		else
			r = take_back(p, err);
		/* Storage has all that there is to write meanwhile. */
		if (r == 0 && !more && p->taken == p->made)
			more = search_again(p->config.search);
	}
	pages_stop(p);
	if (r == 0)
		r = put_record(p, err);
	for (uint32_t i = 0; i < p->config.nstreams && r == 0; i++)
		r = block_list_put(&p->blocks[i], i + 1, p->config.meta, err);
	return r < 0 ? r
		     : search_put_common(p->config.search, p->config.meta, err);
}
