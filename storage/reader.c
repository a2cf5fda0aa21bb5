/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/cached.h"
#include "storage/depth.h"
#include "storage/ring.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define BUFFER_BYTES (4u << 20)
#define BUFFERS      8u
#define STREAMS_MAX  64u
#define GAP_MAX      (64u << 10) /* is sooner read than left out */

struct stream {
	char *name;
	int fd;
	int cached_fd; /* beside a direct one, for what is cached; or -1 */
	bool direct;
	uint64_t length;
};

enum slot_state { SLOT_FREE, SLOT_IN_FLIGHT, SLOT_READ };

/* A read: pieces [first, first + count), in one run. */
struct slot {
	enum slot_state state;
	size_t first, count;
	size_t len, done;
};

struct reader {
	int dir_fd;
	bool direct, from_cache;
	struct depth own, *depth;
	bool full; /* as many were in flight */
	struct ring ring;
	struct slot *slots;
	struct stream streams[STREAMS_MAX];
	uint32_t nstreams;
};

/* One call of reader_run. */
struct run {
	struct reader *reader;
	const struct read_piece *pieces;
	size_t count, next;
	reader_done_fn done;
	void *arg;
	bool begun; /* something was delivered */
};

unsigned int reader_depth(unsigned int buffers)
{
	return (buffers + 1) / 2;
}

int reader_new(int dir_fd, const struct reader_limits *limits,
	       struct reader **ret, struct err *err)
{
	size_t bytes = limits && limits->buffer_bytes ? limits->buffer_bytes
						      : BUFFER_BYTES;
	unsigned int buffers =
		limits && limits->buffers ? limits->buffers : BUFFERS;
	struct reader *rd = calloc(1, sizeof(*rd));
	int r;

	if (!rd)
		return err_num(err, ENOMEM, "reader");
	rd->dir_fd = dir_fd;
	rd->direct = !(limits && limits->no_direct);
	rd->from_cache = limits && limits->from_cache;
	depth_init(&rd->own, reader_depth(buffers), buffers);
	rd->depth = limits && limits->depth ? limits->depth : &rd->own;
	rd->slots = calloc(buffers, sizeof(*rd->slots));
	r = rd->slots ? ring_init(&rd->ring, bytes, buffers, 0, NULL, err)
		      : err_num(err, ENOMEM, "reader");
	if (r < 0) {
		reader_free(rd);
		return r;
	}
	*ret = rd;
	return 0;
}

void reader_free(struct reader *r)
{
	uint32_t i;

	if (!r)
		return;
	ring_done(&r->ring);
	for (i = 0; i < r->nstreams; i++) {
		close(r->streams[i].fd);
		if (r->streams[i].cached_fd >= 0)
			close(r->streams[i].cached_fd);
		free(r->streams[i].name);
	}
	depth_done(&r->own);
	free(r->slots);
	free(r);
}

/*
 * O_NONBLOCK: a fifo in the place of a stream must not stop us.  It goes
 * again, because io_uring would answer reads that have to wait with EAGAIN.
 */
static int open_stream(const struct reader *r, const char *name, bool *direct)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = -1;

	*direct = r->direct;
	if (r->direct)
		fd = openat(r->dir_fd, name, flags | O_DIRECT);
	if (fd < 0 && (!r->direct || errno == EINVAL)) {
		*direct = false;
		fd = openat(r->dir_fd, name, flags);
	}
	return fd;
}

/*
 * By its own description, as that has O_DIRECT or not.  It is asked only for
 * what is there: nothing is to be read ahead.
 */
static int open_cached(const struct reader *r, const char *name)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = openat(r->dir_fd, name, flags);

	if (fd < 0 || (fcntl(fd, F_SETFL, 0) == 0 &&
		       posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0))
		return fd;
	close(fd);
	return -1;
}

int reader_open(struct reader *r, const char *name, uint32_t *ret_stream,
		uint64_t *ret_length, struct err *err)
{
	struct stream s = { 0 };
	auto_close int fd = -EBADF;
	struct stat st;

	if (strchr(name, '/'))
		return err_set(err, -EINVAL, "stream %s: not a file name",
			       name);
	if (r->nstreams == STREAMS_MAX)
		return err_set(err, -EMFILE, "%s: more than %u streams", name,
			       STREAMS_MAX);
	fd = open_stream(r, name, &s.direct);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, -EBADMSG, "%s: a link, not a file", name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s: not a regular file", name);
	s.name = strdup(name);
	if (!s.name)
		return err_num(err, ENOMEM, "%s", name);
	if (fcntl(fd, F_SETFL, s.direct ? O_DIRECT : 0) < 0) {
		free(s.name);
		return err_sys(err, "%s", name);
	}
	s.fd = take_fd(&fd);
	s.cached_fd = s.direct && r->from_cache ? open_cached(r, name) : -1;
	s.length = (uint64_t)st.st_size;
	if (ret_length)
		*ret_length = s.length;
	*ret_stream = r->nstreams;
	r->streams[r->nstreams++] = s;
	return 0;
}

static int check_piece(const struct reader *r, const struct read_piece *p,
		       struct err *err)
{
	const struct stream *s;

	if (p->stream >= r->nstreams || !p->len || p->len % RING_ALIGN ||
	    p->offset % RING_ALIGN || p->len > r->ring.buffer_bytes)
		return err_set(err, -EINVAL, "stream %u: %u bytes at %llu",
			       p->stream, p->len,
			       (unsigned long long)p->offset);
	s = &r->streams[p->stream];
	if (p->offset > s->length || p->len > s->length - p->offset)
		return err_set(err, -ENODATA,
			       "%s: %u bytes at %llu are beyond its end",
			       s->name, p->len, (unsigned long long)p->offset);
	return 0;
}

/* Does it lie so close behind what is read that it may come with it? */
static bool fits(const struct run *run, const struct slot *slot,
		 const struct read_piece *first, const struct read_piece *p)
{
	uint64_t end = first->offset + slot->len;

	return p->stream == first->stream && p->offset >= end &&
	       p->offset - end <= GAP_MAX &&
	       p->offset - first->offset + p->len <=
		       run->reader->ring.buffer_bytes;
}

/* Neighbours in a stream are read at once, as many as a buffer holds. */
static int gather(struct run *run, struct slot *slot, struct err *err)
{
	const struct read_piece *first = &run->pieces[run->next], *p = first;
	int r = 0;

	memset(slot, 0, sizeof(*slot));
	slot->first = run->next;
	for (; run->next < run->count; p++) {
		if (slot->count && !fits(run, slot, first, p))
			break;
		r = check_piece(run->reader, p, err);
		if (r < 0)
			break;
		slot->len = (size_t)(p->offset - first->offset) + p->len;
		slot->count++;
		run->next++;
	}
	return slot->count ? 0 : r < 0 ? r : check_piece(run->reader, p, err);
}

/* Most of it is as good as all: the rest is read into the cache. */
static bool is_cached(const struct stream *s, uint64_t offset, size_t len)
{
	return cached_bytes(s->cached_fd, offset, len) >=
	       (int64_t)(len - len / 8);
}

static int fd_for(const struct stream *s, uint64_t offset, size_t len)
{
	return s->direct && s->cached_fd >= 0 && is_cached(s, offset, len)
		       ? s->cached_fd
		       : s->fd;
}

static int start(struct run *run, unsigned int index, struct err *err)
{
	struct reader *rd = run->reader;
	struct slot *slot = &rd->slots[index];
	const struct read_piece *p = &run->pieces[slot->first];
	struct stream *s = &rd->streams[p->stream];
	struct ring_request req = {
		.index = index,
		.from = slot->done,
		.len = slot->len - slot->done,
		.offset = p->offset + slot->done,
	};
	int r;

	req.fd = fd_for(s, req.offset, req.len);
	r = ring_start(&rd->ring, &req, err);
	if (r < 0)
		return err_wrap(err, r, "%s", s->name);
	slot->state = SLOT_IN_FLIGHT;
	return 0;
}

/* As in the writer: O_DIRECT may be refused as late as at the read. */
static bool leave_direct(struct stream *s, size_t done, int res)
{
	if (!s->direct || (res < 0 && res != -EINVAL && res != -EOPNOTSUPP) ||
	    (res >= 0 && done % RING_ALIGN == 0))
		return false;
	s->direct = false;
	return ring_leave_direct(s->fd);
}

static int deliver(struct run *run, unsigned int index, struct err *err)
{
	struct slot *slot = &run->reader->slots[index];
	const uint8_t *data = ring_buffer(&run->reader->ring, index);
	uint64_t start = run->pieces[slot->first].offset;
	size_t i;
	int r = 0;

	for (i = slot->first; i < slot->first + slot->count && r >= 0; i++)
		r = run->done(run->arg, &run->pieces[i],
			      data + (run->pieces[i].offset - start), err);
	slot->state = SLOT_FREE;
	return r < 0 ? r : 0;
}

static int complete(struct run *run, unsigned int index, int res,
		    struct err *err)
{
	struct slot *slot = &run->reader->slots[index];
	const struct read_piece *p = &run->pieces[slot->first];
	struct stream *s = &run->reader->streams[p->stream];
	bool again;

	depth_ended(run->reader->depth, res > 0 ? (size_t)res : 0,
		    run->reader->full, clock_monotonic_ns());
	slot->state = SLOT_FREE;
	slot->done += res > 0 ? (size_t)res : 0;
	if (slot->done == slot->len) {
		slot->state = SLOT_READ;
		return 0;
	}
	again = leave_direct(s, slot->done, res);
	if (again || res > 0 || res == -EINTR || res == -EAGAIN)
		return start(run, index, err);
	return err_num(err, res < 0 ? res : ENODATA,
		       "%s: read of %zu bytes at %llu", s->name,
		       slot->len - slot->done,
		       (unsigned long long)(p->offset + slot->done));
}

/*
 * Reads of a disk end many at a time, and it must not wait for what they have
 * brought to be dealt with: half of the buffers are in flight at first, others
 * are emptied meanwhile.  But whoever takes the first piece may let it wait, so
 * until then all are filled.
 */
static int feed(struct run *run, struct err *err)
{
	struct reader *rd = run->reader;
	const unsigned int depth =
		run->begun ? depth_now(rd->depth) : rd->ring.buffers;
	unsigned int i;
	int r = 0;

	for (i = 0; i < rd->ring.buffers && run->next < run->count &&
		    rd->ring.in_flight < depth && r == 0;
	     i++) {
		if (rd->slots[i].state != SLOT_FREE)
			continue;
		r = gather(run, &rd->slots[i], err);
		if (r == 0)
			r = start(run, i, err);
	}
	rd->full = rd->ring.in_flight >= depth;
	return r;
}

/* Take what has come; wait, if nothing is there to be dealt with. */
static int reap(struct run *run, bool wait, struct err *err)
{
	struct ring *ring = &run->reader->ring;
	unsigned int index;
	int res, r = 0;

	while (r == 0 && ring->in_flight && (wait || ring_has_result(ring))) {
		wait = false;
		r = ring_wait(ring, &index, &res, err);
		if (r == 0)
			r = complete(run, index, res, err);
	}
	return r;
}

/* The first that is read, in order of the stream; false: none. */
static bool find_read(const struct run *run, unsigned int *ret)
{
	const struct reader *rd = run->reader;
	bool found = false;

	for (unsigned int i = 0; i < rd->ring.buffers; i++) {
		if (rd->slots[i].state != SLOT_READ ||
		    (found && rd->slots[i].first > rd->slots[*ret].first))
			continue;
		*ret = i;
		found = true;
	}
	return found;
}

/* The kernel may still write to the buffers: they are not reused before. */
static void drain(struct reader *rd)
{
	struct err ignored;
	unsigned int index;
	int res;

	while (rd->ring.in_flight &&
	       ring_wait(&rd->ring, &index, &res, &ignored) == 0)
		rd->slots[index].state = SLOT_FREE;
}

int reader_run(struct reader *r, const struct read_piece *pieces, size_t count,
	       reader_done_fn done, void *arg, struct err *err)
{
	struct run run = { .reader = r,
			   .pieces = pieces,
			   .count = count,
			   .done = done,
			   .arg = arg };
	unsigned int index;
	bool more;
	int ret;

	depth_paused(r->depth);
	do {
		ret = feed(&run, err);
		if (ret == 0)
			ret = reap(&run, !find_read(&run, &index), err);
		if (ret == 0)
			ret = feed(&run, err);
		more = ret == 0 && find_read(&run, &index);
		run.begun |= more;
		if (more)
			ret = deliver(&run, index, err);
	} while (ret == 0 && (more || r->ring.in_flight || run.next < count));
	drain(r);
	for (index = 0; index < r->ring.buffers; index++)
		r->slots[index].state = SLOT_FREE;
	return ret;
}
