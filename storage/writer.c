/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/pump.h"
#include "util/cleanup.h"
#include "util/parallel.h"

#define BUFFER_BYTES (4u << 20)
#define BUFFERS      8u
#define GRAIN        (1u << 20)
#define STREAMS_MAX  64u
#define ALLOCATE_MIN (64ull << 20)
#define ALLOCATE_MAX (256ull << 20)
#define NO_BUFFER    UINT32_MAX
#define ANY_HOME     (-1)

struct stream {
	char *name;
	int fd;
	bool direct;
	uint64_t length;    /* appended by the caller */
	uint64_t allocated; /* blocks asked of the file system */
	uint32_t buffer;    /* being filled by writer_put, or NO_BUFFER */
	size_t filled;
};

enum slot_state { SLOT_FREE, SLOT_HELD, SLOT_IN_FLIGHT };

/* A buffer on its way: [done, len) of it goes to offset + done. */
struct slot {
	enum slot_state state;
	uint32_t stream;
	size_t len, done;
	uint64_t offset;
	bool again; /* it found no room, and was tried once more */
};

struct writer {
	int dir_fd;
	bool direct, probed, finished;
	bool ahead, no_ahead; /* blocks were asked for; and never again */
	struct pump *pump;
	size_t buffer_bytes;
	unsigned int buffers;
	struct slot *slots;
	struct stream streams[STREAMS_MAX];
	uint32_t nstreams;
	struct err failure; /* the first one stays */
};

int writer_new(int dir_fd, const struct writer_limits *limits,
	       struct writer **ret, struct err *err)
{
	size_t bytes = limits && limits->buffer_bytes ? limits->buffer_bytes
						      : BUFFER_BYTES;
	unsigned int buffers =
		limits && limits->buffers ? limits->buffers : BUFFERS;
	const struct writer_limits none = { 0 };
	struct writer *w;
	int r;

	if (bytes % GRAIN)
		return err_set(err, -EINVAL,
			       "buffers of %zu bytes: not whole MiB", bytes);
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_num(err, ENOMEM, "writer");
	w->dir_fd = dir_fd;
	limits = limits ? limits : &none;
	w->probed = limits->no_direct;
	w->buffer_bytes = bytes;
	w->buffers = buffers;
	w->slots = calloc(buffers, sizeof(*w->slots));
	r = w->slots ? pump_new(bytes, buffers,
				limits->ready ? limits->ready : buffers,
				limits->homes, limits->bandwidth, &w->pump, err)
		     : err_num(err, ENOMEM, "writer");
	if (r < 0) {
		writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void writer_free(struct writer *w)
{
	uint32_t i;

	if (!w)
		return;
	pump_free(w->pump);
	for (i = 0; i < w->nstreams; i++) {
		close(w->streams[i].fd);
		free(w->streams[i].name);
	}
	free(w->slots);
	free(w);
}

/* After a failure nothing more is written, and all calls tell the first. */
static int fail(struct writer *w, const struct err *err)
{
	if (!w->failure.code)
		w->failure = *err;
	return err->code;
}

static int usable(const struct writer *w, uint32_t stream, struct err *err)
{
	if (w->failure.code) {
		*err = w->failure;
		return err->code;
	}
	if (w->finished)
		return err_set(err, -EINVAL, "the writer has finished");
	if (stream >= w->nstreams)
		return err_set(err, -EINVAL, "no stream %u", stream);
	return 0;
}

static bool plain_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int writer_open(struct writer *w, const char *name, uint32_t *ret_stream,
		struct err *err)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	struct stream *s = &w->streams[w->nstreams];

	if (w->failure.code || w->finished)
		return usable(w, 0, err);
	if (!plain_name(name))
		return err_set(err, -EINVAL, "stream %s: not a file name",
			       name);
	if (w->nstreams == STREAMS_MAX)
		return err_set(err, -EMFILE, "%s: more than %u streams", name,
			       STREAMS_MAX);
	if (!w->probed) {
		w->direct = ring_direct_works(w->dir_fd);
		w->probed = true;
	}
	memset(s, 0, sizeof(*s));
	s->name = strdup(name);
	if (!s->name)
		return err_num(err, ENOMEM, "%s", name);
	s->direct = w->direct;
	s->buffer = NO_BUFFER;
	s->fd = openat(w->dir_fd, name, flags | (s->direct ? O_DIRECT : 0),
		       0600);
	if (s->fd < 0) {
		free(s->name);
		return err_sys(err, "%s: create", name);
	}
	*ret_stream = w->nstreams++;
	return 0;
}

/*
 * Blocks ahead of the data: direct writes inside the file's size need not
 * wait for each other.  A file system that cannot, or has no room for that
 * much, gets its answer from the write itself.
 */
static uint64_t blocks_ahead(struct writer *w, struct stream *s,
			     uint64_t offset, size_t len)
{
	uint64_t end = offset + len, more = end;

	if (w->no_ahead || !s->direct || !offset || end <= s->allocated)
		return 0;
	w->ahead = true;
	if (more < ALLOCATE_MIN)
		more = ALLOCATE_MIN;
	if (more > ALLOCATE_MAX)
		more = ALLOCATE_MAX;
	s->allocated = end + more;
	return len + more;
}

static void start(struct writer *w, uint32_t index)
{
	struct slot *slot = &w->slots[index];
	struct stream *s = &w->streams[slot->stream];
	struct ring_request req = {
		.write = true,
		.fd = s->fd,
		.index = index,
		.from = slot->done,
		.len = slot->len - slot->done,
		.offset = slot->offset + slot->done,
	};

	req.allocate = blocks_ahead(w, s, req.offset, req.len);
	slot->state = SLOT_IN_FLIGHT;
	pump_start(w->pump, &req);
}

/*
 * Some file systems take O_DIRECT at open and refuse it at the write; and a
 * write that stopped inside a block can go on from there buffered only.
 */
static bool leave_direct(struct stream *s, size_t done, int res)
{
	if (!s->direct || (res < 0 && res != -EINVAL && res != -EOPNOTSUPP) ||
	    (res >= 0 && done % RING_ALIGN == 0))
		return false;
	s->direct = false;
	return ring_leave_direct(s->fd);
}

/*
 * Perhaps it was ourselves who had the room for a moment, for blocks ahead of
 * another write: by its next turn they have been given back.
 */
static bool room_may_be_back(struct writer *w, struct slot *slot, int res)
{
	if ((res != -ENOSPC && res != -EDQUOT) || !w->ahead || slot->again)
		return false;
	slot->again = w->no_ahead = true;
	return true;
}

/*
 * A request is over.  A short one goes on where it stopped: its rest then
 * succeeds or tells the reason (mostly ENOSPC).
 */
static int complete(struct writer *w, uint32_t index, int res, struct err *err)
{
	struct slot *slot = &w->slots[index];
	struct stream *s = &w->streams[slot->stream];
	bool again;

	slot->state = SLOT_FREE;
	if (w->failure.code)
		return 0;
	slot->done += res > 0 ? (size_t)res : 0;
	if (slot->done == slot->len)
		return 0;
	again = leave_direct(s, slot->done, res) ||
		room_may_be_back(w, slot, res);
	if (again || res > 0 || res == -EINTR || res == -EAGAIN) {
		start(w, index);
		return 0;
	}
	err_num(err, res < 0 ? res : EIO, "%s: write of %zu bytes at %llu",
		s->name, slot->len - slot->done,
		(unsigned long long)(slot->offset + slot->done));
	return fail(w, err);
}

static int wait_one(struct writer *w, struct err *err)
{
	unsigned int index;
	int res, r = pump_wait(w->pump, &index, &res, err);

	return r < 0 ? fail(w, err) : complete(w, index, res, err);
}

/* The first that is free, and at home there if one is. */
static uint32_t find_free(const struct writer *w, int home)
{
	uint32_t found = NO_BUFFER;

	for (uint32_t i = 0; i < w->buffers; i++) {
		if (w->slots[i].state != SLOT_FREE)
			continue;
		if (home < 0 || pump_home(w->pump, i) == home)
			return i;
		if (found == NO_BUFFER)
			found = i;
	}
	return found;
}

static int take_buffer(struct writer *w, int home, uint32_t *ret,
		       struct err *err)
{
	uint32_t i;
	int r;

	while ((i = find_free(w, home)) == NO_BUFFER) {
		r = wait_one(w, err);
		if (r < 0)
			return r;
	}
	w->slots[i].state = SLOT_HELD;
	*ret = i;
	return 0;
}

static void submit(struct writer *w, uint32_t stream, uint32_t index,
		   uint64_t offset, size_t len)
{
	w->slots[index] = (struct slot){ .state = SLOT_HELD,
					 .stream = stream,
					 .len = len,
					 .offset = offset };
	start(w, index);
}

int writer_put(struct writer *w, uint32_t stream, const void *data, size_t len,
	       struct err *err)
{
	const uint8_t *p = data;
	int r = usable(w, stream, err);

	while (r == 0 && len) {
		struct stream *s = &w->streams[stream];
		size_t room, n;

		if (s->buffer == NO_BUFFER) {
			s->filled = 0;
			r = take_buffer(w, ANY_HOME, &s->buffer, err);
			if (r < 0)
				return r;
		}
		room = w->buffer_bytes - s->filled;
		n = len < room ? len : room;
		memcpy(pump_buffer(w->pump, s->buffer) + s->filled, p, n);
		s->filled += n;
		s->length += n;
		p += n;
		len -= n;
		if (s->filled < w->buffer_bytes)
			continue;
		submit(w, stream, s->buffer, s->length - s->filled, s->filled);
		s->buffer = NO_BUFFER;
	}
	return r;
}

int writer_get_buffer(struct writer *w, struct writer_buffer *ret,
		      struct err *err)
{
	return writer_get_buffer_of(w, ANY_HOME, ret, err);
}

int writer_get_buffer_of(struct writer *w, int home, struct writer_buffer *ret,
			 struct err *err)
{
	uint32_t index;
	int r;

	if (w->failure.code || w->finished)
		return usable(w, 0, err);
	r = take_buffer(w, home, &index, err);
	if (r < 0)
		return r;
	ret->data = pump_buffer(w->pump, index);
	ret->room = w->buffer_bytes;
	ret->index = index;
	ret->home = pump_home(w->pump, index);
	return 0;
}

/* A result may be of a write that has to go on; mostly it is a buffer. */
bool writer_has_buffer(struct writer *w)
{
	for (uint32_t i = 0; i < w->buffers; i++)
		if (w->slots[i].state == SLOT_FREE)
			return true;
	return w->failure.code || pump_has_result(w->pump);
}

int writer_spare(struct writer *w, unsigned int *ret, struct err *err)
{
	int r = 0;

	while (r == 0 && !w->failure.code && pump_has_result(w->pump))
		r = wait_one(w, err);
	*ret = 0;
	for (uint32_t i = 0; i < w->buffers; i++)
		*ret += w->slots[i].state == SLOT_FREE;
	return r < 0 ? r : usable(w, 0, err);
}

int writer_submit(struct writer *w, uint32_t stream,
		  const struct writer_buffer *buffer, size_t len,
		  uint64_t *ret_offset, struct err *err)
{
	struct stream *s;
	uint64_t offset;
	int r = usable(w, stream, err);

	if (r < 0)
		return r;
	s = &w->streams[stream];
	if (buffer->index >= w->buffers ||
	    w->slots[buffer->index].state != SLOT_HELD ||
	    len > w->buffer_bytes || len % RING_ALIGN ||
	    s->length % RING_ALIGN || s->buffer != NO_BUFFER)
		return err_set(err, -EINVAL, "%s: %zu bytes of buffer %u",
			       s->name, len, buffer->index);
	if (!len) {
		w->slots[buffer->index].state = SLOT_FREE;
		return 0;
	}
	offset = s->length;
	s->length += len;
	submit(w, stream, buffer->index, offset, len);
	if (ret_offset)
		*ret_offset = offset;
	return 0;
}

uint64_t writer_length(const struct writer *w, uint32_t stream)
{
	return stream < w->nstreams ? w->streams[stream].length : 0;
}

/* The last block of writer_put goes out padded; its stream is cut later. */
static void flush(struct writer *w, uint32_t stream)
{
	struct stream *s = &w->streams[stream];
	uint32_t index = s->buffer;
	size_t len = (s->filled + RING_ALIGN - 1) / RING_ALIGN * RING_ALIGN;

	if (index == NO_BUFFER)
		return;
	s->buffer = NO_BUFFER;
	memset(pump_buffer(w->pump, index) + s->filled, 0, len - s->filled);
	submit(w, stream, index, s->length - s->filled, len);
}

/* Of one stream, in its thread. */
struct settling {
	struct stream *stream;
	struct err err;
};

static void settle(void *arg, size_t i)
{
	struct settling *l = &((struct settling *)arg)[i];
	const struct stream *s = l->stream;

	if (ftruncate(s->fd, (off_t)s->length) < 0)
		err_sys(&l->err, "%s: cut to %llu bytes", s->name,
			(unsigned long long)s->length);
	else if (fsync(s->fd) < 0)
		err_sys(&l->err, "%s: fsync", s->name);
}

/* At once: a file system does many such with the work of one. */
static int settle_all(struct writer *w, struct err *err)
{
	struct settling list[STREAMS_MAX] = { 0 };

	for (uint32_t i = 0; i < w->nstreams; i++)
		list[i].stream = &w->streams[i];
	parallel_run(w->nstreams, settle, list);
	for (uint32_t i = 0; i < w->nstreams; i++)
		if (list[i].err.code) {
			*err = list[i].err;
			return fail(w, err);
		}
	return 0;
}

int writer_finish(struct writer *w, struct err *err)
{
	uint32_t i;
	int r = 0;

	if (w->failure.code || w->finished)
		return usable(w, 0, err);
	for (i = 0; i < w->nstreams; i++)
		flush(w, i);
	while (pump_in_flight(w->pump) && r == 0)
		r = wait_one(w, err);
	if (r == 0)
		r = settle_all(w, err);
	w->finished = r == 0;
	return r;
}
