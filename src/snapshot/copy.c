/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/files.h"
#include "storage/store.h"
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
	uint32_t generation;
	struct store_generation *older; /* of the directory beside */
	size_t count;
};

static void tell(struct copying *w, bool last)
{
	uint64_t now = clock_monotonic_ns();

	if (!w->c->progress || (!last && now - w->told_ns < TELL_NS))
		return;
	w->told_ns = now;
	w->c->progress(w->c->arg, w->done, w->total);
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

static const StreamEntry *find_stream(const ManifestRecord *m, const char *name)
{
	for (size_t i = 0; i < m->n_parts; i++)
		for (size_t k = 0; k < m->parts[i]->n_streams; k++)
			if (!strcmp(m->parts[i]->streams[k]->name, name))
				return m->parts[i]->streams[k];
	return NULL;
}

/* The whole file, under its new name, and of that length; or nothing. */
static bool link_from(const struct copying *w, int old_fd, const char *from,
		      const struct snapshot_file *f)
{
	int to = w->c->to_fd;
	struct stat st;

	if (linkat(old_fd, from, to, f->name, 0) < 0)
		return false;
	if (fstatat(to, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->length)
		return true;
	(void)unlinkat(to, f->name, 0);
	return false;
}

/* Whoever wrote it has it without the "@GENERATION" that others add. */
static bool link_one(const struct copying *w, const StreamEntry *s,
		     uint32_t generation, const struct snapshot_file *f)
{
	const char *at = strrchr(f->name, '@');
	auto_close int fd = -EBADF;
	char own[sizeof(f->name)];
	struct err unused;

	if (store_open(w->c->job_fd, generation, NULL, &fd, &unused) < 0)
		return false;
	if (link_from(w, fd, f->name, f))
		return true;
	if (generation != s->borrowed_from || !at)
		return false;
	snprintf(own, sizeof(own), "%.*s", (int)(at - f->name), f->name);
	return link_from(w, fd, own, f);
}

/*
 * A number is never given twice: what has this name, or lent it, in the store
 * was written or copied there as what it is here.
 */
static bool link_file(struct copying *w, const ManifestRecord *m,
		      const struct snapshot_file *f)
{
	const StreamEntry *s = find_stream(m, f->name);
	struct err unused;
	bool done = false;

	if (!s || !s->has_borrowed_from || begin_as(w->c->user, &unused) < 0)
		return false;
	for (size_t i = w->count; i-- > 0 && !done;) {
		const struct store_generation *g = &w->older[i];

		if (g->complete && !*g->fast_node &&
		    g->number < w->generation && g->number >= s->borrowed_from)
			done = link_one(w, s, g->number, f);
	}
	end_as(w->c->user);
	return done;
}

static int copy_file(struct copying *w, const ManifestRecord *m,
		     const struct snapshot_file *f, struct err *err)
{
	auto_close int fd = -EBADF;
	int r;

	if (link_file(w, m, f)) {
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
	const struct copy *c = w->c;
	int r = store_list(c->job_fd, c->user, &w->older, &w->count, err);

	for (size_t i = 0; r == 0 && i < files->count; i++)
		w->total += files->list[i].length;
	tell(w, true);
	for (size_t i = 0; r == 0 && i < files->count; i++) {
		r = copy_file(w, m, &files->list[i], err);
		if (r < 0)
			err_wrap(err, r, "%s", files->list[i].name);
	}
	tell(w, true);
	free(w->older);
	return r;
}

int snapshot_copy(const struct copy *c, const ManifestRecord *m,
		  uint64_t *ret_written, struct err *err)
{
	struct copying w = { .c = c, .generation = m->generation };
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
