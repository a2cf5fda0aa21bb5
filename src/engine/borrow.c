// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/borrow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/lender.h"
#include "engine/recheck.h"
#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/reread.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PAGE           ((uint64_t)IMAGE_PAGE)
#define RECORD_EXTENTS 1024
#define NAME_BYTES     320

/* A stream of the generation that lends. */
struct loan {
	char *name; /* here; NULL: it has none */
	uint32_t from;
	uint64_t pages, live; /* unpacked; of those, how many are wanted */
	bool wanted, used;
	uint32_t number; /* in the new part */
};

/* What was noted: pages of an extent. */
struct noted {
	int32_t pid;
	uint32_t slot;     /* of wanted */
	uint16_t from, to; /* in pages of it */
};

struct borrow {
	const struct checkpoint_args *args;
	struct lender lender;
	struct loan loans[PART_MAX_STREAMS];
	struct noted *noted;
	size_t count, room;
	bool put; /* the names are those of a part now */
	struct recheck *recheck;
	uint64_t waited_ns;
	bool lost;
	char why[160];
};

/* What turns out to be no file of that length is not left behind. */
static int link_one(const struct borrow *b, const char *from, const char *to,
		    uint64_t length)
{
	struct stat st;

	if (linkat(b->args->base_fd, from, b->args->dir_fd, to, 0) < 0)
		return -errno;
	if (fstatat(b->args->dir_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && (uint64_t)st.st_size == length)
		return 0;
	(void)unlinkat(b->args->dir_fd, to, 0);
	return -EBADMSG;
}

/* The name of one that was borrowed before says already whose it is. */
static int name_of(const StreamEntry *s, uint32_t generation, char **ret)
{
	*ret = NULL;
	if (s->has_borrowed_from)
		*ret = strdup(s->name);
	else if (asprintf(ret, "%.*s@%u", NAME_BYTES, s->name, generation) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

/* Files may have no second name there, or nobody may give them one. */
static int link_streams(struct borrow *b, char *why, size_t room,
			struct err *err)
{
	const PartEntry *part = b->lender.part;
	int r = as_user(b->args->owner, err);

	for (size_t k = 1; k < part->n_streams && r == 0; k++) {
		const StreamEntry *s = part->streams[k];
		struct loan *loan = &b->loans[k];

		loan->from = s->has_borrowed_from ? s->borrowed_from
						  : b->lender.generation;
		loan->pages = blocks_length(&b->lender.blocks, k) / PAGE;
		r = name_of(s, b->lender.generation, &loan->name);
		if (r == 0)
			r = link_one(b, s->name, loan->name, s->length);
		if (r == 0)
			continue;
		free(take_ptr(loan->name));
		(void)snprintf(why, room, "%s: no hard link of it: %s", s->name,
			       strerror(-r));
	}
	as_root();
	return r;
}

static void unlink_streams(struct borrow *b, bool all)
{
	struct err unused;

	if (as_user(b->args->owner, &unused) < 0)
		return;
	for (size_t k = 1; k < b->lender.part->n_streams; k++)
		if (b->loans[k].name && (all || !b->loans[k].used))
			(void)unlinkat(b->args->dir_fd, b->loans[k].name, 0);
	as_root();
}

/* err: what was wrong with it. */
static void say_lost(const struct borrow *b, int r, const struct err *err,
		     char *why, size_t room)
{
	(void)snprintf(why, room, "generation %u%s: %.120s",
		       b->lender.generation, r == -EBADMSG ? " is damaged" : "",
		       err->text);
}

static bool has_turn(const struct borrow *b, const Extent *x)
{
	return !b->lender.part->streams[x->stream]->has_borrowed_from ||
	       reread_has_turn(x, b->lender.generation, b->args->generation);
}

/* The job goes on, and now, too: it need not be fast. */
static int check_before(struct borrow *b, char *why, size_t room)
{
	struct lender *l = &b->lender;
	struct err err = { 0 };
	int r;

	for (size_t i = 0; i < l->nextents; i++)
		l->wanted[i].check = has_turn(b, l->wanted[i].extent);
	r = recheck_begin(b->args, l, b->args->bandwidth, &b->recheck, &err);
	if (r == 0)
		r = recheck_end(take_ptr(b->recheck), &err);
	if (r < 0)
		say_lost(b, r, &err, why, room);
	return r;
}

int borrow_open(const struct checkpoint_args *args, struct borrow **ret,
		char *why, size_t room, struct err *err)
{
	struct err reason = { 0 };
	struct borrow *b;
	int r;

	*ret = NULL;
	*why = '\0';
	if (!args->watches || !args->watches->count)
		return 0;
	if (args->base_fd < 0) {
		(void)snprintf(why, room, "generation %u is %s",
			       args->watches->generation,
			       args->base_is ? args->base_is : "gone");
		return 0;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_num(err, ENOMEM, "borrow");
	b->args = args;
	r = lender_open(args->base_fd, args->owner, args->job_id,
			args->watches->generation, args->watches->digest,
			&b->lender, &reason);
	if (r < 0)
		say_lost(b, r, &reason, why, room);
	else
		r = link_streams(b, why, room, err);
	if (r == 0 && !args->published)
		r = check_before(b, why, room);
	if (r < 0) {
		borrow_free(b);
		return 0;
	}
	*ret = b;
	return 0;
}

void borrow_count(struct borrow *b, pid_t ns_pid, uint64_t start, uint64_t end)
{
	size_t i = lender_find(&b->lender, ns_pid, start);

	for (; i < b->lender.count; i++) {
		struct lent *x = &b->lender.v[i];
		uint64_t from = x->start > start ? x->start : start;
		uint64_t to = x->end < end ? x->end : end;

		if (x->pid != ns_pid || x->start >= end)
			break;
		b->lender.wanted[x->slot].live +=
			(uint32_t)((to - from) / PAGE);
	}
}

/* Streams of which less is wanted are left before others. */
static void choose_streams(struct borrow *b)
{
	size_t n = b->lender.part->n_streams, wanted = 0;

	for (size_t k = 1; k < n; k++) {
		struct loan *loan = &b->loans[k];

		loan->wanted =
			loan->live && STREAM_WORTH(loan->live, loan->pages);
		wanted += loan->wanted;
	}
	while (wanted > BORROWED_MAX) {
		struct loan *least = NULL;

		for (size_t k = 1; k < n; k++)
			if (b->loans[k].wanted &&
			    (!least || b->loans[k].live < least->live))
				least = &b->loans[k];
		least->wanted = false;
		wanted--;
	}
}

static bool is_chosen(const struct borrow *b, const struct wanted *w)
{
	return w->worth && b->loans[w->extent->stream].wanted;
}

static void check_meanwhile(struct borrow *b)
{
	struct lender *l = &b->lender;
	struct err err = { 0 };
	int r;

	for (size_t i = 0; i < l->nextents; i++)
		l->wanted[i].check = is_chosen(b, &l->wanted[i]);
	r = recheck_begin(b->args, l, NULL, &b->recheck, &err);
	if (r < 0)
		say_lost(b, r, &err, b->why, sizeof(b->why));
	b->lost = r < 0;
}

void borrow_choose(struct borrow *b)
{
	const bool spoilt = SPOILT(b->lender.read_pages, b->lender.live_pages);

	for (size_t i = 0; i < b->lender.nextents; i++) {
		struct wanted *w = &b->lender.wanted[i];

		w->worth = w->live &&
			   (spoilt ? EXTENT_CLEAN(w->live, w->extent->pages)
				   : EXTENT_WORTH(w->live, w->extent->pages));
		if (w->worth)
			b->loans[w->extent->stream].live += w->live;
	}
	choose_streams(b);
	if (b->args->published)
		check_meanwhile(b);
}

static int note(struct borrow *b, const struct lent *x, uint64_t start,
		uint64_t end, struct err *err)
{
	const Extent *e = b->lender.wanted[x->slot].extent;

	b->loans[e->stream].used = true;
	if (b->count == b->room) {
		size_t room = b->room ? 2 * b->room : 1024;
		struct noted *v = reallocarray(b->noted, room, sizeof(*v));

		if (!v)
			return err_num(err, ENOMEM, "borrowed pages");
		b->noted = v;
		b->room = room;
	}
	b->noted[b->count++] = (struct noted){
		.pid = x->pid,
		.from = (uint16_t)((start - e->address) / PAGE),
		.to = (uint16_t)((end - e->address) / PAGE),
		.slot = x->slot,
	};
	return 0;
}

/* What start is in, or NULL. */
static const struct lent *find_lent(const struct borrow *b, pid_t ns_pid,
				    uint64_t start, uint64_t end,
				    uint64_t *ret_end)
{
	size_t i = lender_find(&b->lender, ns_pid, start);

	*ret_end = end;
	for (; i < b->lender.count; i++) {
		const struct lent *x = &b->lender.v[i];

		if (x->pid != ns_pid || x->start >= end)
			return NULL;
		if (!is_chosen(b, &b->lender.wanted[x->slot]))
			continue;
		if (x->start > start)
			*ret_end = x->start;
		else if (x->end < end)
			*ret_end = x->end;
		return x->start <= start ? x : NULL;
	}
	return NULL;
}

int borrow_take(struct borrow *b, pid_t ns_pid, uint64_t start, uint64_t end,
		bool *ret_taken, uint64_t *ret_end, struct err *err)
{
	const struct lent *x = NULL;

	*ret_end = end;
	if (!b->lost)
		x = find_lent(b, ns_pid, start, end, ret_end);
	*ret_taken = x != NULL;
	return x ? note(b, x, start, *ret_end, err) : 0;
}

void borrow_had(const struct borrow *b, pid_t ns_pid, uint64_t start,
		uint64_t end, bool *ret_taken, uint64_t *ret_end)
{
	*ret_taken = find_lent(b, ns_pid, start, end, ret_end) != NULL;
}

bool borrow_is_lost(struct borrow *b)
{
	const uint64_t began = clock_monotonic_ns();
	struct err err = { 0 };
	int r;

	if (!b->recheck)
		return false;
	r = recheck_end(take_ptr(b->recheck), &err);
	b->waited_ns = clock_monotonic_ns() - began;
	if (r == 0)
		return false;
	say_lost(b, r, &err, b->why, sizeof(b->why));
	b->lost = true;
	b->count = 0;
	for (size_t k = 0; k < PART_MAX_STREAMS; k++)
		b->loans[k].used = false;
	return true;
}

static void number_streams(struct borrow *b, uint32_t first,
			   struct borrow_total *ret)
{
	const PartEntry *part = b->lender.part;

	for (size_t k = 1; k < part->n_streams; k++) {
		struct loan *loan = &b->loans[k];

		if (!loan->used)
			continue;
		loan->number = first + (uint32_t)ret->nstreams;
		ret->streams[ret->nstreams++] = (struct borrowed_stream){
			.name = loan->name,
			.length = part->streams[k]->length,
			.from = loan->from,
		};
	}
}

/* Other extents may have pages in the middle of one. */
static int by_extent(const void *a, const void *b)
{
	const struct noted *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

/*
 * From the i-th on, all that is of one extent: pairs left out, taken; none:
 * all of it.  Returns how many pages; room of parts: 2 * EXTENT_MAX_PAGES.
 */
static uint64_t fill_extent(const struct borrow *b, size_t *i, uint32_t *parts,
			    Extent *x)
{
	const struct noted *first = &b->noted[*i];
	uint32_t at = 0;
	uint64_t pages = 0;

	*x = *b->lender.wanted[first->slot].extent;
	x->stream = b->loans[x->stream].number;
	x->n_parts = 0;
	x->parts = parts;
	for (; *i < b->count; (*i)++) {
		const struct noted *n = &b->noted[*i];

		if (n->pid != first->pid || n->slot != first->slot)
			break;
		if (x->n_parts && n->from == at) {
			parts[x->n_parts - 1] += n->to - n->from;
		} else {
			parts[x->n_parts++] = n->from - at;
			parts[x->n_parts++] = n->to - n->from;
		}
		at = n->to;
		pages += n->to - n->from;
	}
	if (pages == x->pages)
		x->n_parts = 0;
	return pages;
}

/* One record: as many as are of one process and fit. */
struct batch {
	Extent extents[RECORD_EXTENTS], *ptrs[RECORD_EXTENTS];
	uint32_t parts[RECORD_EXTENTS][2 * EXTENT_MAX_PAGES];
};

static int put_some(struct borrow *b, size_t *i, struct batch *batch,
		    const struct img_sink *out, struct borrow_total *ret,
		    struct err *err)
{
	PagesRecord rec = PAGES_RECORD__INIT;
	const int32_t pid = b->noted[*i].pid;

	rec.pid = pid;
	rec.extents = batch->ptrs;
	while (*i < b->count && rec.n_extents < RECORD_EXTENTS &&
	       b->noted[*i].pid == pid) {
		size_t n = rec.n_extents++;

		batch->ptrs[n] = &batch->extents[n];
		ret->bytes += PAGE * fill_extent(b, i, batch->parts[n],
						 batch->ptrs[n]);
		ret->extents++;
	}
	return img_put(out, TAG_PAGES, &rec.base, err);
}

static int put_blocks(const struct borrow *b, const struct img_sink *out,
		      struct err *err)
{
	const struct meta *meta = &b->lender.meta;
	int r = 0;

	for (size_t i = 0; i < meta->count && r == 0; i++) {
		const BlocksRecord *old =
			(const BlocksRecord *)meta->entries[i].msg;
		BlocksRecord rec;

		if (meta->entries[i].tag != TAG_BLOCKS ||
		    !b->loans[old->stream].used)
			continue;
		rec = *old;
		rec.stream = b->loans[old->stream].number;
		r = img_put(out, TAG_BLOCKS, &rec.base, err);
	}
	return r;
}

int borrow_put(struct borrow *b, uint32_t first_stream,
	       const struct img_sink *out, struct borrow_total *ret,
	       struct err *err)
{
	auto_free struct batch *batch = malloc(sizeof(*batch));
	int r = 0;

	if (!batch)
		return err_num(err, ENOMEM, "borrowed pages");
	if (b->count)
		qsort(b->noted, b->count, sizeof(*b->noted), by_extent);
	*ret = (struct borrow_total){ .waited_ns = b->waited_ns,
				      .lost = b->why };
	number_streams(b, first_stream, ret);
	unlink_streams(b, false);
	b->put = true;
	for (size_t i = 0; i < b->count && r == 0;)
		r = put_some(b, &i, batch, out, ret, err);
	return r < 0 ? r : put_blocks(b, out, err);
}

void borrow_free(struct borrow *b)
{
	if (!b)
		return;
	recheck_drop(b->recheck);
	if (!b->put && b->lender.part)
		unlink_streams(b, true);
	for (size_t k = 0; k < PART_MAX_STREAMS; k++)
		free(b->loans[k].name);
	lender_done(&b->lender);
	free(b->noted);
	free(b);
}
