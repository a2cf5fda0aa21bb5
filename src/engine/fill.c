/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents of memory and of files that are carried along: the hash of each
 * extent is checked before it is copied into place.  Page faults in the target
 * are what takes the time, so several threads do better than one.  No ptrace
 * here: only the tracer's thread may.
 *
 * What is known to be read in the end is read ahead, while processes are built.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/births.h"
#include "engine/building.h"
#include "engine/data_file.h"
#include "engine/inlets.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "snapshot/extents.h"
#include "util/cleanup.h"
#include "util/kernels_file.h"

#define PAGE       ((uint64_t)IMAGE_PAGE)
#define NOT_WANTED UINT64_MAX

/* With less than this it is not worth the calls in the process. */
#define INLET_BYTES (512u << 10)

/* Who gets contents: a process, or (ns_pid 0) the data of an object. */
struct owner {
	int32_t ns_pid;
	pid_t pid;
	struct data_file data;
	uint64_t bytes;
	size_t puppet;
	struct inlet *inlet; /* of the process, or NULL */
};

/* There are as many as runs of pages: these two are small. */
struct target {
	const Extent *extent;
	uint32_t owner;       /* of work.owners */
	uint16_t from, pages; /* what of the extent is wanted */
};

/* What an extent has of a process. */
struct page_place {
	const Extent *extent;
	int32_t pid;
	uint32_t from : 12, pages : 12; /* of the extent */
	uint32_t common : 1; /* and is there when the process is born */
	uint32_t born : 1;   /* some of it is */
};

static uint64_t start_of(const struct page_place *p)
{
	return p->extent->address + p->from * PAGE;
}

static uint64_t end_of(const struct page_place *p)
{
	return start_of(p) + p->pages * PAGE;
}

/* A reading, ahead of everything (work NULL), or of what is wanted now. */
struct putting {
	const struct building *b;
	const struct work *work;
};

struct contents {
	struct page_place *places; /* by pid and address */
	size_t nplaces;
	struct blocks blocks;
	uint64_t bytes; /* put so far */

	/* Of each extent that is read ahead, in order. */
	const Extent **ahead;
	struct read_piece *pieces;
	size_t nahead;
	struct reading *reading;
	struct putting settling;
	struct births *births;
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

static int order_extents(const Extent *x, const Extent *y)
{
	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	/* In a borrowed stream two may be at one place. */
	return (x > y) - (x < y);
}

static int order_targets(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	int order = order_extents(x->extent, y->extent);

	if (order)
		return order;
	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

static int put_one(const struct work *w, struct scatter *memory,
		   const struct target *t, const uint8_t *data, struct err *err)
{
	const struct owner *o = &w->owners[t->owner];
	const uint64_t start = t->extent->address + t->from * PAGE;
	const size_t len = t->pages * PAGE;

	data += t->from * PAGE;
	if (o->inlet)
		return inlet_take(o->inlet, memory, start, data, len, err);
	if (o->ns_pid)
		return scatter_put(memory, o->pid, o->ns_pid, start, data, len,
				   err);
	return data_file_put(&o->data, start, data, len, err);
}

/* The kernel asks the thread that fills, where the job has said nothing. */
static int prefer_nodes(const struct building *b, struct reading_hand *hand,
			const Extent *x, struct err *err)
{
	uint64_t nodes = nearby_wanted(&b->nearby, x->nodes);
	int r;

	if (nodes == hand->nodes)
		return 0;
	r = scatter_flush(hand->memory, err);
	near_prefer(b->nearby.near, nodes);
	hand->nodes = nodes;
	return r;
}

static int put_extent(void *arg, struct reading_hand *hand,
		      const struct read_piece *piece, const uint8_t *data,
		      struct err *err)
{
	const struct putting *p = arg;
	const struct target *end = p->work->targets + p->work->count;
	const PartEntry *part = p->b->part;
	const struct target *t;
	const Extent *x;
	int r = 0;

	if (piece->tag == NOT_WANTED)
		return 0;
	t = &p->work->targets[piece->tag];
	x = t->extent;
	if (extent_hash(data, piece->len) != x->hash)
		return err_set(err, -EBADMSG,
			       "%s: damaged: bytes %" PRIu64 " to %" PRIu64
			       " have not the hash they were saved with",
			       part->streams[x->stream]->name, piece->offset,
			       piece->offset + piece->len);
	r = prefer_nodes(p->b, hand, x, err);
	for (; t < end && r == 0 && t->extent == x; t++)
		r = put_one(p->work, hand->memory, t, data, err);
	return r;
}

static const Extent *extent_of(const struct putting *p,
			       const struct read_piece *piece)
{
	const struct contents *c = p->b->contents;

	return p->work ? p->work->targets[piece->tag].extent
		       : c->ahead[piece - c->pieces];
}

/*
 * Near the most of what it fills; it then has its buffers there, too.  Of what
 * comes to several by turns each has a share.
 */
static void settle(void *arg, unsigned int number,
		   const struct read_piece *pieces, size_t count)
{
	const struct putting *p = arg;
	const struct nearby *n = &p->b->nearby;
	uint64_t bytes[NEAR_NODES] = { 0 };
	size_t best = 0;

	for (size_t i = 0; i < count && n->near; i++) {
		const Extent *x = extent_of(p, &pieces[i]);
		uint64_t nodes = nearby_wanted(n, x->nodes);

		bytes[near_nth(nodes, number)] += pieces[i].len;
	}
	for (size_t i = 1; i < NEAR_NODES; i++)
		if (bytes[i] > bytes[best])
			best = i;
	near_run(n->near, bytes[best] ? (int)best : NEAR_ANY);
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
	w->owners[w->nowners - 1].bytes += end - start;
	w->targets[w->count++] = (struct target){
		.extent = x,
		.owner = (uint32_t)w->nowners - 1,
		.from = (uint16_t)((start - x->address) / PAGE),
		.pages = (uint16_t)((end - start) / PAGE),
	};
	return 0;
}

static struct read_piece piece_of(const Extent *x, uint64_t tag)
{
	return (struct read_piece){
		.stream = x->stream - 1,
		.len = x->pages * IMAGE_PAGE,
		.offset = x->offset,
		.tag = tag,
	};
}

/* Each extent once, however many want it; what comes ahead, from there. */
static int join_targets(struct work *w, struct contents *c, bool ahead,
			struct err *err)
{
	const struct target *t = w->targets;
	size_t k = 0, end = ahead ? c->nahead : 0;

	qsort(w->targets, w->count, sizeof(*t), order_targets);
	w->pieces = calloc(w->count, sizeof(*w->pieces));
	if (!w->pieces)
		return err_num(err, ENOMEM, "%zu extents", w->count);
	for (size_t i = 0; i < w->count; i++) {
		const Extent *x = t[i].extent;

		w->bytes += t[i].pages * PAGE;
		if (i && x == t[i - 1].extent)
			continue;
		while (k < end && order_extents(c->ahead[k], x) < 0)
			k++;
		if (k < end && c->ahead[k] == x)
			c->pieces[k].tag = i;
		else
			w->pieces[w->npieces++] = piece_of(x, i);
	}
	return 0;
}

static void work_done(struct work *w)
{
	for (size_t i = 0; i < w->nowners; i++)
		inlet_free(w->owners[i].inlet);
	free(w->owners);
	free(w->targets);
	free(w->pieces);
}

static struct reading_args to_read(const struct building *b,
				   struct putting *settling,
				   const struct read_piece *pieces,
				   size_t count)
{
	return (struct reading_args){
		.restart = b->args,
		.part = b->part,
		.blocks = &b->contents->blocks,
		.pieces = pieces,
		.count = count,
		.settle = settle,
		.arg = settling,
	};
}

static int read_now(const struct building *b, struct putting *p,
		    struct err *err)
{
	const struct reading_args args =
		to_read(b, p, p->work->pieces, p->work->npieces);
	struct reading *reading = NULL;
	int r;

	r = reading_begin(&args, &reading, err);
	if (r == 0)
		r = reading_end(reading, put_extent, p, err);
	reading_free(reading);
	return r;
}

/* What was read before. */
static int put_births(const struct building *b, struct putting *p,
		      struct work *w, struct err *err)
{
	struct reading_hand hand = { 0 };
	size_t left = 0;
	int r = scatter_new(&hand.memory, err);

	for (size_t i = 0; i < w->npieces && r == 0; i++) {
		const struct read_piece *piece = &w->pieces[i];
		const uint8_t *data = births_find(b->contents->births, piece);

		if (data)
			r = put_extent(p, &hand, piece, data, err);
		else
			w->pieces[left++] = *piece;
	}
	if (r == 0)
		r = scatter_flush(hand.memory, err);
	if (hand.nodes)
		near_prefer(b->nearby.near, 0);
	scatter_free(hand.memory);
	w->npieces = left;
	return r;
}

static int run_work(struct building *b, struct work *w, bool ahead,
		    struct err *err)
{
	struct contents *c = b->contents;
	struct putting p = { b, w };
	int r = 0;

	if (w->count)
		r = join_targets(w, c, ahead, err);
	if (r == 0 && ahead && c->reading)
		r = reading_end(c->reading, put_extent, &p, err);
	if (r == 0 && w->npieces && c->births)
		r = put_births(b, &p, w, err);
	if (r == 0 && w->npieces)
		r = read_now(b, &p, err);
	c->bytes += w->bytes;
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct page_place *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return start_of(x) < start_of(y) ? -1 : start_of(x) > start_of(y);
}

static uint32_t pages_to(const struct extent_ref *ref, uint64_t address)
{
	return (uint32_t)((address - ref->extent->address) / PAGE);
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
				.extent = list.refs[i].extent,
				.pid = list.refs[i].pid,
				.from = pages_to(&list.refs[i],
						 list.refs[i].start),
				.pages = pages_to(&list.refs[i],
						  list.refs[i].end) -
					 pages_to(&list.refs[i],
						  list.refs[i].start),
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
	reading_free(c->reading);
	births_free(c->births);
	free(c->ahead);
	free(c->pieces);
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

		if (p->pid < pid || (p->pid == pid && end_of(p) <= address))
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
		.data = { .fd = -1 },
		.puppet = to,
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
		const uint64_t start = start_of(p), end = end_of(p);

		if (start >= put->end)
			break;
		r = add_target(w, p->extent,
			       start > put->start ? start : put->start,
			       end < put->end ? end : put->end, err);
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
		r = run_work(b, &w, false, err);
	work_done(&w);
	return r;
}

/* Pages of an object that needs none are still read: they must be whole. */
static int add_object(const struct building *b, struct work *w,
		      const PagesRecord *rec, struct err *err)
{
	struct owner o = { .data = { .object = rec->object } };
	off_t size;
	int r;

	o.data.fd = descriptors_data(b->fds, rec->object);
	if (o.data.fd == -ENOENT)
		return err_set(err, -EBADMSG, "pages of object %u",
			       rec->object);
	if (o.data.fd >= 0) {
		if (is_kernels_file(o.data.fd))
			return err_set(err, -EBADMSG,
				       "pages of object %u are for a file of "
				       "the kernel's",
				       rec->object);
		size = lseek(o.data.fd, 0, SEEK_END);
		if (size < 0)
			return err_sys(err, "object %u: size", rec->object);
		o.data.size = (uint64_t)size;
		o.data.huge = hugetlb_of_file(o.data.fd);
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

/* From here on until they are closed processes must not run. */
static int open_inlets(const struct building *b, struct work *w,
		       struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < w->nowners && r == 0; i++) {
		struct owner *o = &w->owners[i];

		if (o->ns_pid && o->bytes >= INLET_BYTES)
			r = inlet_new(b, &b->puppets[o->puppet], &o->inlet,
				      err);
	}
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
		r = open_inlets(b, &w, err);
	if (r == 0)
		r = run_work(b, &w, true, err);
	work_done(&w);
	if (r == 0)
		descriptors_close_data(b->fds);
	return r;
}

/* What a process gets at its birth is read then. */
static void mark_common(const struct building *b)
{
	struct contents *c = b->contents;

	for (size_t i = 0; i < b->heirs.count; i++) {
		const struct spans *common = &b->heirs.v[i].common;

		for (size_t k = 0; k < common->count; k++) {
			const struct span *s = &common->v[k];
			size_t n = first_place(c, (int32_t)s->tag, s->start);

			for (; n < c->nplaces && c->places[n].pid == s->tag &&
			       start_of(&c->places[n]) < s->end;
			     n++) {
				c->places[n].born = true;
				c->places[n].common |=
					start_of(&c->places[n]) >= s->start &&
					end_of(&c->places[n]) <= s->end;
			}
		}
	}
}

/* It is only to be read. */
static int add_whole(struct work *w, const Extent *x, struct err *err)
{
	return add_target(w, x, x->address, x->address, err);
}

static int list_ahead(const struct building *b, struct work *w, struct err *err)
{
	const struct contents *c = b->contents;
	const struct plan_record *recs;
	size_t count;
	int r = add_owner(w, &(struct owner){ 0 }, err);

	for (size_t i = 0; i < c->nplaces && r == 0; i++)
		if (!c->places[i].common && !(c->births && c->places[i].born))
			r = add_whole(w, c->places[i].extent, err);
	recs = plan_kind(b->plan, TAG_PAGES, &count);
	for (size_t i = 0; i < count && r == 0; i++) {
		const PagesRecord *rec = (const PagesRecord *)recs[i].msg;

		for (size_t k = 0; rec->object && k < rec->n_extents && r == 0;
		     k++)
			r = add_whole(w, rec->extents[k], err);
	}
	return r;
}

static int read_births(const struct building *b, struct err *err)
{
	struct contents *c = b->contents;
	struct reading_args args;
	struct work w = { 0 };
	int r = add_owner(&w, &(struct owner){ 0 }, err);

	for (size_t i = 0; i < c->nplaces && r == 0; i++)
		if (c->places[i].born)
			r = add_whole(&w, c->places[i].extent, err);
	if (r == 0 && w.count)
		r = join_targets(&w, c, false, err);
	args = to_read(b, &c->settling, w.pieces, w.npieces);
	if (r == 0)
		r = births_read(&args, &c->births, err);
	work_done(&w);
	return r;
}

/* There were as many as parts of extents. */
static void *shrink(void *list, size_t count, size_t bytes)
{
	void *less = reallocarray(list, count + 1, bytes);

	return less ? less : list;
}

int build_ahead(struct building *b, struct err *err)
{
	struct reading_args args;
	struct work w = { 0 };
	struct contents *c;
	int r;

	r = have_contents(b, err);
	if (r < 0)
		return r;
	c = b->contents;
	c->settling = (struct putting){ .b = b };
	mark_common(b);
	r = read_births(b, err);
	if (r == 0)
		r = list_ahead(b, &w, err);
	if (r == 0 && w.count)
		r = join_targets(&w, c, false, err);
	if (r == 0)
		c->ahead = calloc(w.npieces + 1, sizeof(*c->ahead));
	if (r == 0 && !c->ahead)
		r = err_num(err, ENOMEM, "%zu extents", w.npieces);
	for (size_t i = 0; r == 0 && i < w.npieces; i++)
		c->ahead[i] = w.targets[w.pieces[i].tag].extent;
	for (size_t i = 0; i < w.npieces; i++)
		w.pieces[i].tag = NOT_WANTED;
	c->nahead = w.npieces;
	c->pieces = shrink(take_ptr(w.pieces), c->nahead, sizeof(*c->pieces));
	work_done(&w);
	args = to_read(b, &c->settling, c->pieces, c->nahead);
	return r == 0 && c->nahead ? reading_begin(&args, &c->reading, err) : r;
}
