/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/reread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define BUFFER     (4u << 20)
#define BUFFERS    8u
#define TURN_BYTES (4u << 20) /* a block, if it is packed */
#define TURNS      8u

bool reread_has_turn(const Extent *x, uint32_t last, uint32_t generation)
{
	const uint32_t turn = (uint32_t)(x->offset / TURN_BYTES);

	return (turn - last - 1) % TURNS < generation - last;
}

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
	const struct reread *r = arg;
	const Extent *x = r->extents[piece->tag];
	int ret = r->go_on ? r->go_on(r->arg, err) : 0;

	if (ret < 0)
		return ret;
	if (extent_hash(data, piece->len) != x->hash)
		return err_set(err, -EBADMSG,
			       "%s: bytes %" PRIu64 " to %" PRIu64
			       " have not the hash they were saved with",
			       r->part->streams[x->stream - r->base]->name,
			       piece->offset, piece->offset + piece->len);
	if (r->bandwidth)
		sleep_until(bucket_take(r->bandwidth, piece->len));
	return 0;
}

/* Where there are no reads past the page cache it has to be empty. */
static void forget_cached(const struct reread *r)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct err unused;

	if (begin_as(r->user, &unused) < 0)
		return;
	for (size_t k = 1; k < r->part->n_streams; k++) {
		auto_close int fd =
			openat(r->dir_fd, r->part->streams[k]->name, flags);

		if (fd >= 0)
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	end_as(r->user);
}

/* Returns how many bytes they have. */
static uint64_t list_pieces(const struct reread *r, struct read_piece *pieces)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->count; i++) {
		const Extent *x = r->extents[i];

		pieces[i] = (struct read_piece){
			.stream = x->stream - r->base - 1,
			.len = x->pages * IMAGE_PAGE,
			.offset = x->offset,
			.tag = i,
		};
		bytes += pieces[i].len;
	}
	return bytes;
}

int snapshot_reread(const struct reread *r, struct err *err)
{
	struct reader_limits limits = { .buffer_bytes = BUFFER,
					.no_direct = r->no_direct };
	auto_free struct read_piece *pieces =
		calloc(r->count + 1, sizeof(*pieces));
	struct reader *reader = NULL;
	uint64_t bytes;
	int ret;

	if (!pieces)
		return err_num(err, ENOMEM, "%zu extents", r->count);
	bytes = list_pieces(r, pieces);
	limits.buffers = bytes / BUFFER < BUFFERS
				 ? (unsigned int)(bytes / BUFFER) + 1
				 : BUFFERS;
	ret = reader_new(r->dir_fd, &limits, &reader, err);
	if (ret < 0)
		return ret;
	forget_cached(r);
	ret = snapshot_open_pages(reader, r->user, r->part, err);
	if (ret == 0)
		ret = blocks_read(reader, r->blocks, pieces, r->count, check,
				  (void *)r, err);
	reader_free(reader);
	return ret;
}
