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
#include "engine/cow.h"
#include "engine/slice.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "kernel/maps.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PAGE           ((uint64_t)IMAGE_PAGE)
#define RUNS           256
#define IN_HAND        6 /* slices; the writer has more buffers than that */
#define READERS_MAX    16
#define RECORD_EXTENTS 1024
#define SPANS_MAX      (1u << 22) /* of pinned memory, kept: 64 MiB */

struct source {
	struct page_range range; /* of a file: start 0, end its size */
	uint32_t object;
	int fd;
	const struct pin_memory *pinned; /* or NULL */
	size_t spans_end;                /* of spans, when pinned */
	const struct spans *left;        /* to others to save, or NULL */
};

struct stretch {
	uint64_t start, end;
};

struct pages {
	struct pages_config config;
	struct source *sources;
	size_t nsources, room;
	struct pages_total total;
	struct block_list *blocks; /* of each stream */
	struct pace pace;

	/* Where the search for pages stands. */
	size_t at;
	uint64_t next;
	int pagemap_fd;
	struct hugetlb_file *huge_file; /* of the file that is looked at */
	struct page_run runs[RUNS];
	size_t run, nruns;
	size_t left;       /* of the source's */
	uint64_t run_ends; /* the part of the run that is ours to save */

	/* Pinned: what the search found while all stood still, in order. */
	bool pinned;
	struct stretch *spans;
	size_t span, nspans, spans_room;

	/* Found when all stood still. */
	struct cow *cow;
	struct cow_source *cow_sources;

	/* Slices in hand: a ring; [taken, made) are with the readers. */
	struct slice *slices;
	size_t made, started, taken;
	pthread_mutex_t lock;
	pthread_cond_t work, finished;
	pthread_t threads[READERS_MAX];
	unsigned int nthreads;
	bool stop;

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
	p->pagemap_fd = -EBADF;
	p->slices = calloc(IN_HAND, sizeof(*p->slices));
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

void pages_free(struct pages *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nsources; i++)
		if (p->sources[i].fd >= 0)
			close(p->sources[i].fd);
	if (p->pagemap_fd >= 0)
		close(p->pagemap_fd);
	hugetlb_file_free(p->huge_file);
	(void)pthread_cond_destroy(&p->finished);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_mutex_destroy(&p->lock);
	cow_free(p->cow);
	free(p->cow_sources);
	for (size_t i = 0; i < p->config.nstreams; i++)
		block_list_done(&p->blocks[i]);
	free(p->blocks);
	free(p->slices);
	free(p->sources);
	free(p->spans);
	free(p);
}

struct pages_total pages_total(const struct pages *p)
{
	return p->total;
}

static int add_source(struct pages *p, const struct source *source,
		      struct err *err)
{
	if (p->nsources == p->room) {
		size_t room = p->room ? p->room * 2 : 256;
		struct source *list = realloc(p->sources, room * sizeof(*list));

		if (!list)
			return err_set(err, -ENOMEM, "pages");
		p->sources = list;
		p->room = room;
	}
	p->sources[p->nsources++] = *source;
	return 0;
}

int pages_add_range(struct pages *p, const struct page_range *range,
		    struct err *err)
{
	struct source source = { .range = *range, .fd = -EBADF };

	return add_source(p, &source, err);
}

/*
 * Looking for data moves a description's position: never use the job's own.
 */
int pages_add_file(struct pages *p, uint32_t object, int fd, uint64_t size,
		   struct err *err)
{
	struct source source = { .object = object, .fd = -EBADF };
	char path[64];
	int r;

	if (size == 0)
		return 0;
	source.range.end = size;
	source.range.proc_fd = -EBADF;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	source.range.huge = hugetlb_of_file(fd);
	/* Looking for huge pages needs the right to write. */
	if (source.range.huge)
		source.fd = open(path, O_RDWR | O_CLOEXEC);
	if (source.fd < 0)
		source.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (source.fd < 0)
		return err_sys(err, "open contents");
	r = add_source(p, &source, err);
	if (r < 0)
		close(source.fd);
	return r;
}

/* The next run of data of a file, in whole pages. */
static int file_runs(struct pages *p, const struct source *s, struct err *err)
{
	off_t data, hole;

	data = lseek(s->fd, (off_t)p->next, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		p->next = s->range.end;
		return 0;
	}
	if (data < 0)
		return err_sys(err, "file %u: SEEK_DATA", s->object);
	hole = lseek(s->fd, data, SEEK_HOLE);
	if (hole < 0)
		return err_sys(err, "file %u: SEEK_HOLE", s->object);
	p->runs[0] = (struct page_run){
		.start = (uint64_t)data & ~(PAGE - 1),
		.end = ((uint64_t)hole + PAGE - 1) & ~(PAGE - 1),
	};
	/* Never twice the same page, whatever the granularity of holes. */
	if (p->runs[0].start < p->next)
		p->runs[0].start = p->next;
	p->next = p->runs[0].end;
	p->nruns = p->runs[0].start < p->runs[0].end;
	return 0;
}

/* One run of huge pages that are there, if any are. */
static int huge_runs(struct pages *p, const struct source *s, struct err *err)
{
	struct page_run *run = &p->runs[0];
	int has = 1;

	*run = (struct page_run){ p->next, p->next, 0, 0, 0 };
	while (p->next < s->range.end) {
		has = hugetlb_file_has(p->huge_file, p->next, err);
		if (has < 0)
			return has;
		if (!has && run->start < run->end)
			break;
		p->next += s->range.huge;
		if (has)
			run->end = p->next;
		else
			run->start = run->end = p->next;
	}
	p->nruns = run->start < run->end;
	return 0;
}

/* Where the kernel does not tell, only what is not zero is known to be. */
static int huge_file_runs(struct pages *p, struct source *s, struct err *err)
{
	struct err why = { 0 };
	int r;

	if (!p->huge_file) {
		r = hugetlb_file_new(s->fd, s->range.huge, s->range.end,
				     &p->huge_file, &why);
		if (r == -EOPNOTSUPP) {
			s->range.huge = 0;
			return file_runs(p, s, err);
		}
		if (r < 0)
			return err_set(err, r, "file %u: %s", s->object,
				       why.text);
	}
	r = huge_runs(p, s, err);
	return r < 0 ? err_wrap(err, r, "file %u", s->object) : 0;
}

static int memory_runs(struct pages *p, const struct source *s, struct err *err)
{
	const bool zeroes = s->range.over_file;
	size_t kept = 0;
	int r;

	if (p->pagemap_fd < 0)
		p->pagemap_fd = openat(s->range.proc_fd, "pagemap",
				       O_RDONLY | O_CLOEXEC);
	if (p->pagemap_fd < 0)
		return err_sys(err, "process %d: pagemap", s->range.ns_pid);
	r = (zeroes ? pagemap_scan_zeroes
		    : pagemap_scan)(p->pagemap_fd, p->next, s->range.end,
				    p->runs, RUNS, &p->nruns, &p->next, err);
	if (r < 0)
		return err_wrap(err, r, "process %d", s->range.ns_pid);
	for (size_t i = 0; i < p->nruns; i++)
		if (!p->runs[i].guard &&
		    !(s->range.over_file && p->runs[i].file))
			p->runs[kept++] = p->runs[i];
	p->nruns = kept;
	return 0;
}

static void leave_process(struct pages *p)
{
	if (p->pagemap_fd >= 0)
		close(p->pagemap_fd);
	p->pagemap_fd = -EBADF;
}

static int keep_span(struct pages *p, const struct page_run *run,
		     struct err *err)
{
	if (p->nspans == SPANS_MAX)
		return err_set(err, -EOPNOTSUPP,
			       "memory in more than %u pieces", SPANS_MAX);
	if (p->nspans == p->spans_room) {
		size_t room = p->spans_room ? p->spans_room * 2 : 1024;
		struct stretch *list = realloc(p->spans, room * sizeof(*list));

		if (!list)
			return err_set(err, -ENOMEM, "pages");
		p->spans = list;
		p->spans_room = room;
	}
	p->spans[p->nspans++] = (struct stretch){ run->start, run->end };
	return 0;
}

static int keep_spans(struct pages *p, struct source *s, struct err *err)
{
	int r = 0;

	p->next = s->range.start;
	while (r == 0 && p->next < s->range.end) {
		r = memory_runs(p, s, err);
		for (size_t i = 0; r == 0 && i < p->nruns; i++)
			r = keep_span(p, &p->runs[i], err);
	}
	s->spans_end = p->nspans;
	p->nruns = 0;
	return r;
}

static void kept_runs(struct pages *p, const struct source *s)
{
	while (p->nruns < RUNS && p->span < s->spans_end) {
		p->runs[p->nruns++] = (struct page_run){
			.start = p->spans[p->span].start,
			.end = p->spans[p->span].end,
		};
		p->span++;
	}
	if (p->span == s->spans_end)
		p->next = s->range.end;
}

static void next_source(struct pages *p)
{
	const struct source *last = &p->sources[p->at++];

	p->left = 0;
	if (p->at == p->nsources)
		return;
	p->next = p->sources[p->at].range.start;
	hugetlb_file_free(take_ptr(p->huge_file));
	if (p->sources[p->at].range.proc_fd != last->range.proc_fd)
		leave_process(p);
}

static int find_runs(struct pages *p, struct source *s, struct err *err)
{
	if (!s->range.pid && s->range.huge)
		return huge_file_runs(p, s, err);
	if (!s->range.pid)
		return file_runs(p, s, err);
	if (!p->pinned)
		return memory_runs(p, s, err);
	kept_runs(p, s);
	return 0;
}

/* What an earlier process saves is no part of this run. */
static bool own_part(struct pages *p)
{
	const struct spans *left = p->sources[p->at].left;
	struct page_run *run = &p->runs[p->run];

	p->run_ends = run->end;
	if (!left)
		return true;
	while (p->left < left->count && left->v[p->left].end <= run->start)
		p->left++;
	if (p->left == left->count)
		return true;
	if (left->v[p->left].start > run->start) {
		if (left->v[p->left].start < run->end)
			p->run_ends = left->v[p->left].start;
		return true;
	}
	run->start = left->v[p->left].end < run->end ? left->v[p->left].end
						     : run->end;
	return false;
}

/* Move to the next run with something in it; false: there is no more. */
static int next_run(struct pages *p, bool *ret_more, struct err *err)
{
	int r;

	for (;;) {
		while (p->run < p->nruns) {
			if (p->runs[p->run].start == p->runs[p->run].end) {
				p->run++;
			} else if (own_part(p)) {
				*ret_more = true;
				return 0;
			}
		}
		p->run = p->nruns = 0;
		if (p->at < p->nsources &&
		    p->next >= p->sources[p->at].range.end) {
			next_source(p);
			continue;
		}
		if (p->at == p->nsources) {
			*ret_more = false;
			return 0;
		}
		r = find_runs(p, &p->sources[p->at], err);
		if (r < 0)
			return r;
	}
}

static bool same_owner(const struct slice *sl, const struct source *s)
{
	return sl->pid == s->range.pid && sl->object == s->object;
}

static void take_piece(struct pages *p, struct slice *sl, size_t room)
{
	const struct source *s = &p->sources[p->at];
	struct page_run *run = &p->runs[p->run];
	uint64_t pages = (p->run_ends - run->start) / PAGE;

	if (pages > room)
		pages = room;
	sl->pieces[sl->npieces++] = (struct slice_piece){
		.address = run->start,
		.pages = (uint32_t)pages,
		.keep_zero = s->range.over_file,
		.readable =
			s->range.readable && !s->range.common && !s->range.huge,
		.huge = s->range.huge,
	};
	sl->pages += pages;
	run->start += pages * PAGE;
}

/* Put as much of one owner into a slice as it holds. */
static int plan_slice(struct pages *p, struct slice *sl, struct err *err)
{
	size_t room = sl->buffer.room / PAGE;
	bool more;
	int r;

	sl->npieces = sl->pages = 0;
	sl->done = false;
	if (room > SLICE_PIECES)
		room = SLICE_PIECES;
	for (;;) {
		const struct source *s;

		r = next_run(p, &more, err);
		if (r < 0 || !more)
			return r;
		s = &p->sources[p->at];
		if (sl->npieces && !same_owner(sl, s))
			return 0;
		sl->pid = s->range.pid;
		sl->ns_pid = s->range.ns_pid;
		sl->proc_fd = s->range.proc_fd;
		sl->pinned = s->pinned;
		sl->object = s->object;
		sl->fd = s->fd;
		take_piece(p, sl, room - sl->pages);
		if (sl->pages == room)
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

static bool may_share(const struct page_range *range)
{
	return range->common && !range->huge;
}

static int by_start(const void *a, const void *b)
{
	const struct page_range *x = *(struct page_range *const *)a;
	const struct page_range *y = *(struct page_range *const *)b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/*
 * What one has in swap may be a page that another has in memory, of which
 * nothing tells that it is not alone: common for one is common for all.
 */
static int spread_common(struct pages *p, struct err *err)
{
	auto_free struct page_range **v = calloc(p->nsources + 1, sizeof(*v));
	size_t n = 0, last;
	uint64_t end;
	bool common;

	if (!v)
		return err_set(err, -ENOMEM, "pages");
	for (size_t i = 0; i < p->nsources; i++)
		if (p->sources[i].range.pid)
			v[n++] = &p->sources[i].range;
	qsort(v, n, sizeof(*v), by_start);
	for (size_t i = 0; i < n; i = last) {
		common = v[i]->common;
		end = v[i]->end;
		for (last = i + 1; last < n && v[last]->start < end; last++) {
			common = common || v[last]->common;
			if (v[last]->end > end)
				end = v[last]->end;
		}
		for (size_t k = i; k < last; k++)
			v[k]->common = common;
	}
	return 0;
}

/* Once, while all stand still: which pages do processes have in common? */
static int find_common(struct pages *p, struct err *err)
{
	size_t n = 0;
	int r;

	if (p->cow)
		return 0;
	r = spread_common(p, err);
	if (r < 0)
		return r;
	p->cow_sources = calloc(p->nsources + 1, sizeof(*p->cow_sources));
	if (!p->cow_sources)
		return err_set(err, -ENOMEM, "pages");
	for (size_t i = 0; i < p->nsources; i++) {
		const struct page_range *range = &p->sources[i].range;

		if (may_share(range))
			p->cow_sources[n++] = (struct cow_source){
				.ns_pid = range->ns_pid,
				.proc_fd = range->proc_fd,
				.start = range->start,
				.end = range->end,
				.over_file = range->over_file,
			};
	}
	r = cow_find(p->cow_sources, n, &p->cow, err);
	n = 0;
	for (size_t i = 0; i < p->nsources && r == 0; i++)
		if (may_share(&p->sources[i].range))
			p->sources[i].left = cow_of(p->cow, n++);
	return r;
}

int pages_pin(struct pages *p, struct pin *pin, struct err *err)
{
	int r = find_common(p, err);

	for (p->at = 0; p->at < p->nsources && r == 0; p->at++) {
		struct source *s = &p->sources[p->at];
		size_t first = p->nspans;

		if (!s->range.pid)
			continue;
		if (p->at && s[-1].range.proc_fd != s->range.proc_fd)
			leave_process(p);
		r = keep_spans(p, s, err);
		if (r == 0 && p->nspans > first)
			r = pin_add(pin, s->range.pid, s->range.proc_fd,
				    p->spans[first].start, &s->pinned, err);
	}
	leave_process(p);
	p->at = 0;
	if (r == 0)
		r = pin_hold(pin, err);
	p->pinned = r == 0;
	for (size_t i = 0; i < p->nsources && r < 0; i++)
		p->sources[i].pinned = NULL;
	return r;
}

static void *reader_main(void *arg)
{
	struct pages *p = arg;
	struct packer *packer = NULL;
	struct slice *sl;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && p->started == p->made)
			(void)pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		sl = &p->slices[p->started++ % IN_HAND];
		(void)pthread_mutex_unlock(&p->lock);
		slice_fill(sl, &packer);
		(void)pthread_mutex_lock(&p->lock);
		sl->done = true;
		(void)pthread_cond_signal(&p->finished);
	}
	(void)pthread_mutex_unlock(&p->lock);
	packer_free(packer);
	return NULL;
}

static void stop_readers(struct pages *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	while (p->nthreads)
		(void)pthread_join(p->threads[--p->nthreads], NULL);
}

/* Signals are for the thread that called. */
static int start_readers(struct pages *p, struct err *err)
{
	unsigned int want = p->config.readers ? p->config.readers : 2;
	sigset_t all, old;
	int r = 0;

	if (want > READERS_MAX)
		want = READERS_MAX;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && p->nthreads < want) {
		r = pthread_create(&p->threads[p->nthreads], NULL, reader_main,
				   p);
		if (r == 0)
			p->nthreads++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		return 0;
	stop_readers(p);
	return err_num(err, r, "reader thread");
}

/* Hand out one more slice; *ret_more false: everything is handed out. */
static int hand_out(struct pages *p, bool *ret_more, struct err *err)
{
	struct slice *sl = &p->slices[p->made % IN_HAND];
	uint64_t began;
	bool more;
	int r;

	/* Look first: a buffer that waits for nothing blocks others. */
	r = next_run(p, &more, err);
	if (r < 0 || !more) {
		*ret_more = false;
		return r;
	}
	began = clock_monotonic_ns();
	r = writer_get_buffer(p->config.writer, &sl->buffer, err);
	if (r < 0)
		return r;
	pace_waited(&p->pace, clock_monotonic_ns() - began);
	sl->effort = pace_effort(&p->pace);
	r = plan_slice(p, sl, err);
	if (r < 0) {
		struct err ignored = { 0 };

		/* The first failure is the one to be told. */
		(void)writer_submit(p->config.writer, p->config.streams[0],
				    &sl->buffer, 0, NULL, &ignored);
		return r;
	}
	(void)pthread_mutex_lock(&p->lock);
	p->made++;
	(void)pthread_cond_signal(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	*ret_more = true;
	return 0;
}

static int take_back(struct pages *p, struct err *err)
{
	struct slice *sl = &p->slices[p->taken % IN_HAND];
	int r;

	(void)pthread_mutex_lock(&p->lock);
	while (!sl->done)
		(void)pthread_cond_wait(&p->finished, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	r = write_slice(p, sl, err);
	p->taken++;
	return r;
}

int pages_run(struct pages *p, struct err *err)
{
	bool more = true;
	int r;

	p->next = p->nsources ? p->sources[0].range.start : 0;
	p->left = 0;
	r = find_common(p, err);
	if (r == 0)
		r = start_readers(p, err);
	if (r < 0)
		return r;
	while (r == 0 && (more || p->taken != p->made)) {
		if (more && p->made - p->taken < IN_HAND)
			r = hand_out(p, &more, err);
		else
			r = take_back(p, err);
	}
	stop_readers(p);
	if (r == 0)
		r = put_record(p, err);
	for (uint32_t i = 0; i < p->config.nstreams && r == 0; i++)
		r = block_list_put(&p->blocks[i], i + 1, p->config.meta, err);
	return r < 0 ? r : cow_put(p->cow, p->config.meta, err);
}
