/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/copy_link.h"
#include "snapshot/files.h"
#include "storage/writer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define CHUNK       (1u << 20)
#define BUFFERS     8u
#define BUFFERS_MIN 2u
#define TELL_NS     (NSEC_PER_SEC / 4)

struct copying {
	const struct copy *c;
	uint8_t *chunk;
	uint64_t done, total, written, told_ns;
	struct copy_links *links;
};

static void tell(struct copying *w, bool last)
{
	uint64_t now = clock_monotonic_ns();

	if (!w->c->progress || (!last && now - w->told_ns < TELL_NS))
		return;
	w->told_ns = now;
	w->c->progress(w->c->arg, w->done, w->total);
}

static void tell_alive(void *arg)
{
	tell(arg, false);
}

static int open_file(const struct copying *w, const struct snapshot_file *f,
		     int *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	struct stat st;
	int r = begin_as(w->c->user, err);

	if (r < 0)
		return r;
	fd = openat(w->c->from_fd, f->name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	r = fd < 0 ? err_sys(err, "open") : 0;
	end_as(w->c->user);
	if (r == -ENOENT || r == -ELOOP)
		return err_set(err, -EBADMSG, "missing");
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->length)
		return err_set(err, -EBADMSG,
			       "has %" PRIu64 " bytes, %" PRIu64
			       " were expected",
			       (uint64_t)st.st_size, f->length);
	*ret = take_fd(&fd);
	return 0;
}

static int fill(struct copying *w, struct writer *writer, uint32_t stream,
		int fd, uint64_t length, struct err *err)
{
	int r = 0;

	while (length && r == 0) {
		size_t n = length < CHUNK ? (size_t)length : CHUNK;

		r = read_all(fd, w->chunk, n, err);
		if (r == -ENODATA)
			r = err_set(err, -EBADMSG, "it has become shorter");
		if (r == 0)
			r = writer_put(writer, stream, w->chunk, n, err);
		length -= n;
		w->done += n;
		w->written += n;
		tell(w, false);
	}
	return r;
}

/* A writer of its own: each stream of one keeps a buffer to its end. */
static int write_file(struct copying *w, const struct snapshot_file *f, int fd,
		      struct err *err)
{
	uint64_t chunks = f->length / CHUNK + 1;
	struct writer_limits limits = {
		.buffer_bytes = CHUNK,
		.buffers = chunks < BUFFERS_MIN ? BUFFERS_MIN
			   : chunks < BUFFERS   ? (unsigned int)chunks
						: BUFFERS,
		.no_direct = w->c->no_direct,
		.bandwidth = w->c->bandwidth,
	};
	struct writer *writer;
	uint32_t stream = 0;
	int r = begin_as(w->c->user, err);

	if (r < 0)
		return r;
	r = writer_new(w->c->to_fd, &limits, &writer, err);
	if (r == 0)
		r = writer_open(writer, f->name, &stream, err);
	end_as(w->c->user);
	if (r == 0)
		r = fill(w, writer, stream, fd, f->length, err);
	if (r == 0)
		r = writer_finish(writer, err);
	writer_free(writer);
	return r;
}

static int copy_file(struct copying *w, const struct snapshot_file *f,
		     struct err *err)
{
	auto_close int fd = -EBADF;
	bool linked;
	int r = copy_links_try(w->links, f, &linked, err);

	if (r < 0)
		return r;
	if (linked) {
		w->done += f->length;
		tell(w, false);
		return 0;
	}
	r = open_file(w, f, &fd, err);
	return r < 0 ? r : write_file(w, f, fd, err);
}

static int copy_all(struct copying *w, const ManifestRecord *m,
		    struct snapshot_files *files, struct err *err)
{
	int r = copy_links_open(w->c, m, tell_alive, w, &w->links, err);

	for (size_t i = 0; r == 0 && i < files->count; i++)
		w->total += files->list[i].length;
	tell(w, true);
	for (size_t i = 0; r == 0 && i < files->count; i++) {
		r = copy_file(w, &files->list[i], err);
		if (r < 0)
			err_wrap(err, r, "%s", files->list[i].name);
	}
	tell(w, true);
	copy_links_free(w->links);
	return r;
}

int snapshot_copy(const struct copy *c, const ManifestRecord *m,
		  uint64_t *ret_written, struct err *err)
{
	struct copying w = { .c = c };
	struct snapshot_files files = { 0 };
	int r = snapshot_all_files(c->from_fd, c->user, m, &files, err);

	if (r < 0)
		return r;
	w.chunk = malloc(CHUNK);
	r = w.chunk ? copy_all(&w, m, &files, err)
		    : err_num(err, ENOMEM, "copy");
	free(w.chunk);
	snapshot_files_done(&files);
	if (r == 0)
		*ret_written = w.written;
	return r;
}
