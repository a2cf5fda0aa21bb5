/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents of memory and of files that are carried along.  Each thread reads
 * its own share of the streams through its own ring, checks the hash of each
 * extent and copies it into place; page faults in the target are what takes
 * the time, so several threads do better than one.  Memory taken is what the
 * readers hold.  No ptrace here: only the tracer's thread may.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/building.h"
#include "engine/readers.h"
#include "engine/scatter.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "snapshot/extents.h"
#include "storage/reader.h"
#include "util/cleanup.h"

#define BUFFER      (4ull << 20)
#define BUFFERS_MIN 2

/* Who gets contents: a process, or (ns_pid 0) the data of an object. */
struct owner {
	int32_t ns_pid;
	pid_t pid;
	uint32_t object;
	int data_fd;
	uint64_t data_size;
	uint64_t huge; /* data is on hugetlbfs: the size of its pages */
};

struct target {
	const Extent *extent;
	uint64_t start; /* what of the extent is wanted */
	uint32_t len;
	uint32_t owner; /* of work.owners */
};

/* What an extent has of a process. */
struct page_place {
	int32_t pid;
	const Extent *extent;
	uint64_t start, end;
};

struct contents {
	struct page_place *places; /* by pid and address */
	size_t nplaces;
	struct blocks blocks;
	uint64_t bytes; /* unpacked, read so far */
};

/* What one run is to read: each extent once, however many want of it. */
struct work {
	struct owner *owners;
	size_t nowners, owners_room;
	struct target *targets; /* those of an extent side by side */
	size_t count, room;
	struct read_piece *pieces; /* tag: the first target */
	size_t npieces;
	uint64_t bytes;
};

struct worker {
	const struct building *b;
	const struct work *work;
	unsigned int number;
	unsigned int buffers; /* at most */
	struct read_piece *pieces; /* its share */
	size_t count;
	struct scatter *memory;
	uint64_t nodes; /* where what it fills comes to; 0: as usual */
	pthread_t thread;
	int result;
	struct err err;
};

static int order_targets(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	if (x->extent->stream != y->extent->stream)
		return x->extent->stream < y->extent->stream ? -1 : 1;
	if (x->extent->offset != y->extent->offset)
		return x->extent->offset < y->extent->offset ? -1 : 1;
	/* In a borrowed stream two may be at one place. */
	if (x->extent != y->extent)
		return x->extent < y->extent ? -1 : 1;
	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

/* What a data file has behind its end belongs to nobody. */
static int put_data(const struct owner *o, uint64_t at, const uint8_t *data,
		    size_t len, struct err *err)
{
	ssize_t n;

	if (at >= o->data_size)
		return 0;
	if (len > o->data_size - at)
		len = (size_t)(o->data_size - at);
	while (len > 0) {
		n = pwrite(o->data_fd, data, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "object %u: write", o->object);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Files of hugetlbfs cannot be written, only mapped.  Pages are asked for
 * first: a lack of them is an error here, and no signal.
 */
static int put_huge(const struct owner *o, uint64_t at, const uint8_t *data,
		    size_t len, struct err *err)
{
	uint64_t start = at & ~(o->huge - 1);
	uint64_t end = (at + len + o->huge - 1) & ~(o->huge - 1);
	uint8_t *map;

	if (end > o->data_size)
		return err_set(err, -EBADMSG, "object %u: pages behind its end",
			       o->object);
	while (fallocate(o->data_fd, 0, (off_t)start, (off_t)(end - start)) < 0)
		if (errno != EINTR)
			return err_sys(err, "object %u: huge pages of %s",
				       o->object, hugetlb_name(o->huge));
	map = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED,
		   o->data_fd, (off_t)start);
	if (map == MAP_FAILED)
		return err_sys(err, "object %u: mmap", o->object);
	memcpy(map + (at - start), data, len);
	(void)munmap(map, end - start);
	return 0;
}

static int put_one(const struct worker *w, const struct target *t,
		   const uint8_t *data, struct err *err)
{
	const struct owner *o = &w->work->owners[t->owner];

	data += t->start - t->extent->address;
	if (o->ns_pid)
		return scatter_put(w->memory, o->pid, o->ns_pid, t->start,
				   data, t->len, err);
	return o->huge ? put_huge(o, t->start, data, t->len, err)
		       : put_data(o, t->start, data, t->len, err);
}

/* The kernel asks the thread that fills, where the job has said nothing. */
static int prefer_nodes(struct worker *w, const Extent *x, struct err *err)
{
	uint64_t nodes = nearby_wanted(&w->b->nearby, x->nodes);
	int r;

	if (nodes == w->nodes)
		return 0;
	r = scatter_flush(w->memory, err);
	near_prefer(w->b->nearby.near, nodes);
	w->nodes = nodes;
	return r;
}

static int put_extent(void *arg, const struct read_piece *piece,
		      const uint8_t *data, struct err *err)
{
	struct worker *w = arg;
	const struct target *t = &w->work->targets[piece->tag];
	const struct target *end = w->work->targets + w->work->count;
	const Extent *x = t->extent;
	const PartEntry *part = w->b->part;
	int r = 0;

	if (extent_hash(data, piece->len) != x->hash)
		return err_set(err, -EBADMSG,
			       "%s: damaged: bytes %" PRIu64 " to %" PRIu64
			       " have not the hash they were saved with",
			       part->streams[x->stream]->name,
			       piece->offset, piece->offset + piece->len);
	r = prefer_nodes(w, x, err);
	for (; t < end && r == 0 && t->extent == x; t++)
		r = put_one(w, t, data, err);
	return r;
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

static int fill_share(struct worker *w, struct err *err)
{
	const struct restart_args *args = w->b->args;
	struct reader_limits limits = { .buffer_bytes = BUFFER,
					.buffers = buffers_for(w),
					.no_direct = args->no_direct };
	struct reader *reader = NULL;
	int r;

	r = reader_new(args->dir_fd, &limits, &reader, err);
	if (r < 0)
		return r;
	r = snapshot_open_pages(reader, args->owner, w->b->part, err);
	if (r == 0)
		r = scatter_new(&w->memory, err);
	if (r == 0)
		r = blocks_read(reader, &w->b->contents->blocks, w->pieces,
				w->count, put_extent, w, err);
	if (r == 0)
		r = scatter_flush(w->memory, err);
	scatter_free(w->memory);
	reader_free(reader);
	return r;
}

/*
 * Near the most of what it fills; it then has its buffers there, too.  Of what
 * comes to several by turns each has a share.
 */
static int choose_home(const struct worker *w)
{
	const struct nearby *n = &w->b->nearby;
	uint64_t bytes[NEAR_NODES] = { 0 };
	size_t best = 0;

	for (size_t i = 0; i < w->count && n->near; i++) {
		const Extent *x = w->work->targets[w->pieces[i].tag].extent;
		uint64_t nodes = nearby_wanted(n, x->nodes);

		bytes[near_nth(nodes, w->number)] += w->pieces[i].len;
	}
	for (size_t i = 1; i < NEAR_NODES; i++)
		if (bytes[i] > bytes[best])
			best = i;
	return bytes[best] ? (int)best : NEAR_ANY;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	near_run(w->b->nearby.near, choose_home(w));
	w->result = fill_share(w, &w->err);
	return NULL;
}

/* Pieces from the first on, of so many bytes at least. */
static size_t take_share(const struct work *work, size_t first, uint64_t bytes)
{
	uint64_t here = 0;
	size_t n = 0;

	while (first + n < work->npieces && here < bytes)
		here += work->pieces[first + n++].len;
	return n;
}

/* A small job has one thread; each has its buffers. */
static size_t count_workers(const struct restart_args *args, uint64_t work,
			    unsigned int *ret_buffers)
{
	uint64_t memory = args->buffer_bytes ? args->buffer_bytes
					     : ENGINE_BUFFERS;
	uint64_t n = readers_count(args->readers);

	if (n > work / BUFFER)
		n = work / BUFFER;
	if (n > memory / BUFFER / BUFFERS_MIN)
		n = memory / BUFFER / BUFFERS_MIN;
	n = n ? n : 1;
	*ret_buffers = (unsigned int)(memory / BUFFER / n);
	return n;
}

/* Equal shares of the streams, so that each reads forward. */
static int run_workers(const struct building *b, const struct work *work,
		       struct err *err)
{
	unsigned int buffers;
	size_t workers = count_workers(b->args, work->bytes, &buffers);
	uint64_t share = work->bytes / workers + 1;
	auto_free struct worker *w = calloc(workers, sizeof(*w));
	size_t first = 0, started;
	int r = 0;

	if (!w)
		return err_num(err, ENOMEM, "threads that read");
	for (started = 0; started < workers && first < work->npieces;
	     started++) {
		w[started].b = b;
		w[started].work = work;
		w[started].number = (unsigned int)started;
		w[started].buffers = buffers;
		w[started].pieces = work->pieces + first;
		w[started].count = take_share(work, first, share);
		first += w[started].count;
		r = pthread_create(&w[started].thread, NULL, worker_main,
				   &w[started]);
		if (r != 0) {
			r = err_num(err, r, "thread that reads");
			break;
		}
	}
	for (size_t i = 0; i < started; i++) {
		(void)pthread_join(w[i].thread, NULL);
		if (w[i].result < 0 && r == 0) {
			r = w[i].result;
			*err = w[i].err;
		}
	}
	return r;
}

/* Targets that follow are this one's. */
static int add_owner(struct work *w, const struct owner *o, struct err *err)
{
	if (w->nowners == w->owners_room) {
		size_t room = w->owners_room ? 2 * w->owners_room : 16;
		struct owner *owners =
			reallocarray(w->owners, room, sizeof(*owners));

		if (!owners)
			return err_num(err, ENOMEM, "%zu owners", room);
		w->owners = owners;
		w->owners_room = room;
	}
	w->owners[w->nowners++] = *o;
	return 0;
}

static int add_target(struct work *w, const Extent *x, uint64_t start,
		      uint64_t end, struct err *err)
{
	if (w->count == w->room) {
		size_t room = w->room ? 2 * w->room : 256;
		struct target *targets =
			reallocarray(w->targets, room, sizeof(*targets));

		if (!targets)
			return err_num(err, ENOMEM, "%zu extents", room);
		w->targets = targets;
		w->room = room;
	}
	w->targets[w->count++] = (struct target){
		.extent = x,
		.start = start,
		.len = (uint32_t)(end - start),
		.owner = (uint32_t)w->nowners - 1,
	};
	return 0;
}

static int join_targets(struct work *w, struct err *err)
{
	const struct target *t = w->targets;

	qsort(w->targets, w->count, sizeof(*t), order_targets);
	w->pieces = calloc(w->count, sizeof(*w->pieces));
	if (!w->pieces)
		return err_num(err, ENOMEM, "%zu extents", w->count);
	for (size_t i = 0; i < w->count; i++) {
		const Extent *x = t[i].extent;
		struct read_piece *piece = &w->pieces[w->npieces];

		if (i && x == t[i - 1].extent)
			continue;
		*piece = (struct read_piece){
			.stream = x->stream - 1,
			.len = x->pages * IMAGE_PAGE,
			.offset = x->offset,
			.tag = i,
		};
		w->bytes += piece->len;
		w->npieces++;
	}
	return 0;
}

static void work_done(struct work *w)
{
	free(w->owners);
	free(w->targets);
	free(w->pieces);
}

static int run_work(struct building *b, struct work *w, struct err *err)
{
	int r = 0;

	if (w->count)
		r = join_targets(w, err);
	if (r == 0 && w->count)
		r = run_workers(b, w, err);
	b->contents->bytes += w->bytes;
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct page_place *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int index_places(const struct plan *plan, struct contents *c,
			struct err *err)
{
	struct extent_list list = { 0 };
	int r = extents_collect(plan->meta, &list, err);

	if (r < 0)
		return r;
	c->places = calloc(list.count + 1, sizeof(*c->places));
	for (size_t i = 0; c->places && i < list.count; i++)
		if (list.refs[i].pid)
			c->places[c->nplaces++] = (struct page_place){
				.pid = list.refs[i].pid,
				.extent = list.refs[i].extent,
				.start = list.refs[i].start,
				.end = list.refs[i].end,
			};
	if (!c->places)
		r = err_num(err, ENOMEM, "%zu extents", list.count);
	free(list.refs);
	if (c->nplaces)
		qsort(c->places, c->nplaces, sizeof(*c->places), by_place);
	return r;
}

static int have_contents(struct building *b, struct err *err)
{
	int r;

	if (b->contents)
		return 0;
	b->contents = calloc(1, sizeof(*b->contents));
	if (!b->contents)
		return err_num(err, ENOMEM, "contents");
	b->contents->blocks.part = b->part;
	r = blocks_collect(b->plan->meta, &b->contents->blocks, err);
	return r < 0 ? r : index_places(b->plan, b->contents, err);
}

void contents_free(struct contents *c)
{
	if (!c)
		return;
	free(c->places);
	blocks_done(&c->blocks);
	free(c);
}

uint64_t contents_bytes(const struct building *b)
{
	return b->contents ? b->contents->bytes : 0;
}

/* The first extent of the process that ends behind address, or another's. */
static size_t first_place(const struct contents *c, int32_t pid,
			  uint64_t address)
{
	size_t low = 0, high = c->nplaces;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct page_place *p = &c->places[mid];

		if (p->pid < pid || (p->pid == pid && p->end <= address))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* All puts of a process follow each other. */
static int add_process(const struct building *b, struct work *w, size_t to,
		       struct err *err)
{
	const struct restore_task *task = &b->puppets[to].task;
	const struct owner o = {
		.ns_pid = task->ns_pid,
		.pid = task->pid,
		.data_fd = -1,
	};

	return w->nowners && w->owners[w->nowners - 1].ns_pid == o.ns_pid
		       ? 0
		       : add_owner(w, &o, err);
}

static int add_put(const struct building *b, struct work *w,
		   const struct put *put, struct err *err)
{
	const struct contents *c = b->contents;
	int r = add_process(b, w, put->to, err);

	for (size_t i = first_place(c, put->from, put->start);
	     i < c->nplaces && c->places[i].pid == put->from && r == 0; i++) {
		const struct page_place *p = &c->places[i];

		if (p->start >= put->end)
			break;
		r = add_target(w, p->extent,
			       p->start > put->start ? p->start : put->start,
			       p->end < put->end ? p->end : put->end, err);
	}
	return r;
}

int build_puts(struct building *b, const struct put *puts, size_t count,
	       struct err *err)
{
	struct work w = { 0 };
	int r;

	r = have_contents(b, err);
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_put(b, &w, &puts[i], err);
	if (r == 0)
		r = run_work(b, &w, err);
	work_done(&w);
	return r;
}

/* Pages of an object that needs none are still read: they must be whole. */
static int add_object(const struct building *b, struct work *w,
		      const PagesRecord *rec, struct err *err)
{
	struct owner o = { .object = rec->object };
	off_t size;
	int r;

	o.data_fd = descriptors_data(b->fds, rec->object);
	if (o.data_fd == -ENOENT)
		return err_set(err, -EBADMSG, "pages of object %u",
			       rec->object);
	if (o.data_fd >= 0) {
		size = lseek(o.data_fd, 0, SEEK_END);
		if (size < 0)
			return err_sys(err, "object %u: size", rec->object);
		o.data_size = (uint64_t)size;
		o.huge = hugetlb_of_file(o.data_fd);
	}
	r = add_owner(w, &o, err);
	for (size_t k = 0; k < rec->n_extents && r == 0; k++) {
		const Extent *x = rec->extents[k];

		r = add_target(w, x, x->address,
			       x->address + x->pages * IMAGE_PAGE, err);
	}
	return r;
}

static int add_objects(const struct building *b, struct work *w,
		       struct err *err)
{
	const struct plan_record *recs;
	size_t count;
	int r = 0;

	recs = plan_kind(b->plan, TAG_PAGES, &count);
	for (size_t i = 0; i < count && r == 0; i++) {
		const PagesRecord *rec = (const PagesRecord *)recs[i].msg;

		if (rec->object)
			r = add_object(b, w, rec, err);
	}
	return r;
}

/* What it has inherited is there already: writing to it would part it. */
static int add_pages(const struct building *b, struct work *w, size_t to,
		     const struct spans *pages, struct err *err)
{
	struct spans missing = { 0 };
	int r;

	r = spans_minus(pages, &b->puppets[to].held, false, &missing, err);
	for (size_t i = 0; i < missing.count && r == 0; i++) {
		const struct put put = {
			.to = to,
			.from = missing.v[i].tag,
			.start = missing.v[i].start,
			.end = missing.v[i].end,
		};

		r = add_put(b, w, &put, err);
	}
	spans_done(&missing);
	return r;
}

static int add_task(const struct building *b, struct work *w, size_t i,
		    struct err *err)
{
	const int32_t own = b->puppets[i].task.ns_pid;
	const struct spans *common = &b->heirs.v[i].common;
	struct span everything = { 0, UINT64_MAX, own };
	const struct spans all = { .v = &everything, .count = 1 };
	struct spans others = { 0 };
	int r;

	r = add_pages(b, w, i, &all, err);
	for (size_t k = 0; k < common->count && r == 0; k++)
		if (common->v[k].tag != own)
			r = spans_add(&others, common->v[k].start,
				      common->v[k].end, common->v[k].tag, err);
	if (r == 0)
		r = add_pages(b, w, i, &others, err);
	spans_done(&others);
	return r;
}

int build_contents(struct building *b, struct err *err)
{
	struct work w = { 0 };
	int r;

	r = have_contents(b, err);
	if (r == 0)
		r = add_objects(b, &w, err);
	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		if (!b->puppets[i].task.zombie)
			r = add_task(b, &w, i, err);
	if (r == 0)
		r = run_work(b, &w, err);
	work_done(&w);
	if (r == 0)
		descriptors_close_data(b->fds);
	return r;
}
