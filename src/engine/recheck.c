// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/recheck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "images/limits.h"
#include "storage/bucket.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define BUFFER  (4u << 20)
#define BUFFERS 8u

struct recheck {
	const struct checkpoint_args *args;
	const struct lender *lender;
	struct bucket *bandwidth;
	struct read_piece *pieces; /* tag: number of wanted */
	size_t count;
	uint64_t bytes;
	atomic_bool drop;
	pthread_t thread;
	int result;
	struct err err;
};

static void sleep_until(uint64_t when_ns)
{
	const struct timespec t = {
		.tv_sec = (time_t)(when_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(when_ns % NSEC_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
	       EINTR)
		;
}

static int check(void *arg, const struct read_piece *piece, const uint8_t *data,
		 struct err *err)
{
	const struct recheck *r = arg;
	const Extent *x = r->lender->wanted[piece->tag].extent;

	if (atomic_load(&r->drop))
		return err_set(err, -ECANCELED, "not wanted");
	if (extent_hash(data, piece->len) != x->hash)
		return err_set(err, -EBADMSG,
			       "%s: bytes %" PRIu64 " to %" PRIu64
			       " have not the hash they were saved with",
			       r->lender->part->streams[x->stream]->name,
			       piece->offset, piece->offset + piece->len);
	if (r->bandwidth)
		sleep_until(bucket_take(r->bandwidth, piece->len));
	return 0;
}

/* Where there are no reads past the page cache it has to be empty. */
static void forget_cached(const struct recheck *r)
{
	const PartEntry *part = r->lender->part;
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct err unused;

	if (as_user(r->args->owner, &unused) < 0)
		return;
	for (size_t k = 1; k < part->n_streams; k++) {
		auto_close int fd =
			openat(r->args->base_fd, part->streams[k]->name, flags);

		if (fd >= 0)
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	as_root();
}

static int read_all(struct recheck *r, struct err *err)
{
	struct reader_limits limits = {
		.buffer_bytes = BUFFER,
		.buffers = r->bytes / BUFFER < BUFFERS
				   ? (unsigned int)(r->bytes / BUFFER) + 1
				   : BUFFERS,
		.no_direct = r->args->no_direct,
	};
	struct reader *reader = NULL;
	int ret = reader_new(r->args->base_fd, &limits, &reader, err);

	if (ret < 0)
		return ret;
	forget_cached(r);
	ret = snapshot_open_pages(reader, r->args->owner, r->lender->part, err);
	if (ret == 0)
		ret = blocks_read(reader, &r->lender->blocks, r->pieces,
				  r->count, check, r, err);
	reader_free(reader);
	return ret;
}

static void *thread_main(void *arg)
{
	struct recheck *r = arg;

	r->result = read_all(r, &r->err);
	return NULL;
}

static int list_pieces(struct recheck *r, struct err *err)
{
	const struct lender *l = r->lender;

	r->pieces = calloc(l->nextents + 1, sizeof(*r->pieces));
	if (!r->pieces)
		return err_num(err, ENOMEM, "%zu extents", l->nextents);
	for (size_t i = 0; i < l->nextents; i++) {
		const Extent *x = l->wanted[i].extent;

		if (!l->wanted[i].check)
			continue;
		r->bytes += x->pages * IMAGE_PAGE;
		r->pieces[r->count++] = (struct read_piece){
			.stream = x->stream - 1,
			.len = x->pages * IMAGE_PAGE,
			.offset = x->offset,
			.tag = i,
		};
	}
	return 0;
}

static void free_all(struct recheck *r)
{
	free(r->pieces);
	free(r);
}

/* Signals are for the thread that called. */
static int start_thread(struct recheck *r, struct err *err)
{
	sigset_t all, old;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&r->thread, NULL, thread_main, r);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return e ? err_num(err, e, "a thread that reads") : 0;
}

int recheck_begin(const struct checkpoint_args *args, const struct lender *l,
		  struct bucket *bandwidth, struct recheck **ret,
		  struct err *err)
{
	struct recheck *made = calloc(1, sizeof(*made));
	int r;

	if (!made)
		return err_num(err, ENOMEM, "what is to be read again");
	made->args = args;
	made->lender = l;
	made->bandwidth = bandwidth;
	r = list_pieces(made, err);
	if (r == 0)
		r = start_thread(made, err);
	if (r < 0) {
		free_all(made);
		return r;
	}
	*ret = made;
	return 0;
}

int recheck_end(struct recheck *r, struct err *err)
{
	int result;

	(void)pthread_join(r->thread, NULL);
	result = r->result;
	if (result < 0)
		*err = r->err;
	free_all(r);
	return result;
}

void recheck_drop(struct recheck *r)
{
	struct err unused;

	if (!r)
		return;
	atomic_store(&r->drop, true);
	(void)recheck_end(r, &unused);
}
