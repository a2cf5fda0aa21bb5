/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/parallel.h"

#define RUNS 256u /* of a call */
/* A test has less. */
#ifndef KEPT_MAX
#define CHUNK_BYTES (256ull << 20)
#define CHUNKS      512u       /* at a time */
#define KEPT_MAX    (1u << 20) /* runs, of all chunks */
#endif

/* A part of a range, in one thread. */
struct chunk {
	const struct scan_range *range;
	size_t index;
	int pagemap_fd;
	uint64_t start, end;
	struct page_run *runs;
	size_t count, room;
	bool too_many; /* all of it is to be looked through again */
	int result;
	struct err err;
};

struct scan {
	const struct scan_range *list;
	size_t n;
	scan_fn each;
	void *arg;

	/* Where the next chunk begins. */
	size_t at;
	uint64_t from;
	struct chunk *chunks;
	size_t nchunks;
	size_t kept; /* by all threads */
};

bool scan_keeps(const struct scan_range *range, const struct page_run *run)
{
	return !run->guard && !(range->over_file && run->file);
}

static int next_runs(const struct chunk *c, uint64_t *next,
		     struct page_run *runs, size_t *ret, struct err *err)
{
	int r = pagemap_scan(c->pagemap_fd,
			     c->range->over_file ? PAGES_OVER_FILE : PAGES_OWN,
			     *next, c->end, runs, RUNS, ret, next, err);

	return r < 0 ? err_wrap(err, r, "process %d", (int)c->range->ns_pid)
		     : 0;
}

/* false: it is not to be kept in mind. */
static bool keep(struct scan *s, struct chunk *c, const struct page_run *run)
{
	if (c->count == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct page_run *runs = NULL;

		if (__atomic_add_fetch(&s->kept, room - c->room,
				       __ATOMIC_RELAXED) <= KEPT_MAX)
			runs = reallocarray(c->runs, room, sizeof(*runs));
		if (!runs)
			return false;
		c->runs = runs;
		c->room = room;
	}
	c->runs[c->count++] = *run;
	return true;
}

static void look(void *arg, size_t i)
{
	struct scan *s = arg;
	struct chunk *c = &s->chunks[i];
	struct page_run runs[RUNS];
	uint64_t next = c->start;
	size_t n;

	while (c->result == 0 && !c->too_many && next < c->end) {
		c->result = next_runs(c, &next, runs, &n, &c->err);
		for (size_t k = 0; k < n && c->result == 0; k++)
			if (scan_keeps(c->range, &runs[k]) && !c->too_many)
				c->too_many = !keep(s, c, &runs[k]);
	}
}

static int tell(const struct scan *s, const struct chunk *c,
		const struct page_run *runs, size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		if (scan_keeps(c->range, &runs[i]))
			r = s->each(s->arg, c->index, runs[i].start,
				    runs[i].end, err);
	return r;
}

static int tell_again(const struct scan *s, const struct chunk *c,
		      struct err *err)
{
	struct page_run runs[RUNS];
	uint64_t next = c->start;
	size_t n;
	int r = 0;

	while (r == 0 && next < c->end) {
		r = next_runs(c, &next, runs, &n, err);
		if (r == 0)
			r = tell(s, c, runs, n, err);
	}
	return r;
}

static int open_pagemap(const struct scan *s, int *ret, struct err *err)
{
	const struct scan_range *range = &s->list[s->at];
	const struct chunk *last =
		s->nchunks ? &s->chunks[s->nchunks - 1] : NULL;

	if (last && last->range->proc_fd == range->proc_fd) {
		*ret = last->pagemap_fd;
		return 0;
	}
	*ret = openat(range->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	return *ret < 0
		       ? err_sys(err, "process %d: pagemap", (int)range->ns_pid)
		       : 0;
}

static int plan(struct scan *s, struct err *err)
{
	s->nchunks = s->kept = 0;
	while (s->at < s->n && s->nchunks < CHUNKS) {
		const struct scan_range *range = &s->list[s->at];
		struct chunk c = { .range = range, .index = s->at };
		int r;

		c.start = s->from > range->start ? s->from : range->start;
		c.end = range->end - c.start > CHUNK_BYTES
				? c.start + CHUNK_BYTES
				: range->end;
		r = open_pagemap(s, &c.pagemap_fd, err);
		if (r < 0)
			return r;
		s->chunks[s->nchunks++] = c;
		s->from = c.end;
		if (c.end == range->end) {
			s->from = 0;
			s->at++;
		}
	}
	return 0;
}

static void done(struct scan *s)
{
	for (size_t i = 0; i < s->nchunks; i++) {
		const struct chunk *c = &s->chunks[i];

		free(c->runs);
		if (i + 1 == s->nchunks || c[1].pagemap_fd != c->pagemap_fd)
			close(c->pagemap_fd);
	}
	s->nchunks = 0;
}

static int take(const struct scan *s, const struct chunk *c, struct err *err)
{
	if (c->result < 0) {
		*err = c->err;
		return c->result;
	}
	return c->too_many ? tell_again(s, c, err)
			   : tell(s, c, c->runs, c->count, err);
}

int scan_ranges(const struct scan_range *list, size_t n, scan_fn each,
		void *arg, struct err *err)
{
	auto_free struct chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
	struct scan s = { .list = list, .n = n, .each = each, .arg = arg };
	int r = 0;

	if (!chunks)
		return err_set(err, -ENOMEM, "pages");
	s.chunks = chunks;
	while (r == 0 && s.at < n) {
		r = plan(&s, err);
		if (r == 0)
			parallel_run(s.nchunks, look, &s);
		for (size_t i = 0; i < s.nchunks && r == 0; i++)
			r = take(&s, &s.chunks[i], err);
		done(&s);
	}
	return r;
}
