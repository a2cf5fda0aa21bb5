/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/copy_link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/extents.h"
#include "snapshot/reread.h"
#include "storage/store.h"
#include "util/cleanup.h"

struct copy_links {
	const struct copy *c;
	const ManifestRecord *m;
	void (*alive)(void *arg);
	void *arg;
	struct store_generation *older;
	size_t count;
	/* What is known of the part that the last stream was of. */
	const PartEntry *part;
	struct meta meta;
	struct blocks blocks;
	struct extent_list extents; /* by place */
};

/* A stream of a part, and a link to it that was just made. */
struct link {
	const PartEntry *part;
	uint32_t stream;
	uint32_t generation; /* has it, too */
	bool first;          /* nobody else does */
};

int copy_links_open(const struct copy *c, const ManifestRecord *m,
		    void (*alive)(void *arg), void *arg,
		    struct copy_links **ret, struct err *err)
{
	struct copy_links *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_num(err, ENOMEM, "what is there already");
	l->c = c;
	l->m = m;
	l->alive = alive;
	l->arg = arg;
	r = store_list(c->job_fd, c->user, &l->older, &l->count, err);
	if (r < 0)
		copy_links_free(l);
	else
		*ret = l;
	return r;
}

static void forget_part(struct copy_links *l)
{
	free(l->extents.refs);
	blocks_done(&l->blocks);
	meta_done(&l->meta);
	l->extents = (struct extent_list){ 0 };
	l->meta = (struct meta){ 0 };
	l->part = NULL;
}

void copy_links_free(struct copy_links *l)
{
	if (!l)
		return;
	forget_part(l);
	free(l->older);
	free(l);
}

static int load_part(struct copy_links *l, const PartEntry *part,
		     struct err *err)
{
	int r;

	if (l->part == part)
		return 0;
	forget_part(l);
	l->blocks.part = part;
	r = snapshot_meta(l->c->from_fd, l->c->user, part, &l->meta, err);
	if (r == 0)
		r = blocks_collect(&l->meta, &l->blocks, err);
	if (r == 0)
		r = extents_collect(&l->meta, &l->extents, err);
	if (r < 0)
		return r;
	extents_sort_by_place(&l->extents);
	l->part = part;
	return 0;
}

static bool find_stream(const ManifestRecord *m, const char *name,
			struct link *ret)
{
	for (size_t i = 0; i < m->n_parts; i++)
		for (uint32_t k = 1; k < m->parts[i]->n_streams; k++)
			if (!strcmp(m->parts[i]->streams[k]->name, name)) {
				ret->part = m->parts[i];
				ret->stream = k;
				return true;
			}
	return false;
}

/*
 * Those that are read of the stream: all, or those that have their turn.  An
 * extent with parts is there once for each.
 */
static size_t choose(const struct copy_links *l, const struct link *link,
		     const Extent **ret)
{
	const Extent *last = NULL;
	size_t n = 0;

	for (size_t i = 0; i < l->extents.count; i++) {
		const Extent *x = l->extents.refs[i].extent;

		if (x->stream != link->stream || x == last)
			continue;
		last = x;
		if (link->first ||
		    reread_has_turn(x, link->generation, l->m->generation))
			ret[n++] = x;
	}
	return n;
}

static int go_on(void *arg, struct err *err)
{
	const struct copy_links *l = arg;

	(void)err;
	l->alive(l->arg);
	return 0;
}

/* Of the part there is this one stream, by now. */
static int check(struct copy_links *l, const struct link *link, struct err *err)
{
	const uint32_t k = link->stream;
	StreamEntry *streams[] = { link->part->streams[0],
				   link->part->streams[k] };
	struct block_stream places[2] = { 0 };
	PartEntry part = *link->part;
	const struct blocks blocks = { .part = &part,
				       .streams = places,
				       .count = ARRAY_SIZE(places) };
	struct reread what = { .dir_fd = l->c->to_fd,
			       .user = l->c->user,
			       .part = &part,
			       .blocks = &blocks,
			       .base = k - 1,
			       .no_direct = l->c->no_direct,
			       .bandwidth = l->c->bandwidth,
			       .go_on = go_on,
			       .arg = l };
	auto_free const Extent **extents =
		calloc(l->extents.count + 1, sizeof(*extents));

	if (!extents)
		return err_num(err, ENOMEM, "%zu extents", l->extents.count);
	part.streams = streams;
	part.n_streams = ARRAY_SIZE(streams);
	if (k < l->blocks.count)
		places[1] = l->blocks.streams[k];
	what.extents = extents;
	what.count = choose(l, link, extents);
	return snapshot_reread(&what, err);
}

/*
 * Was it written there, instead of linked, by a copy?  That begins with the
 * part's records, and what it links was written before.
 */
static bool is_first(const struct link *link, int old_fd, const char *name)
{
	struct stat st, records;

	return fstatat(old_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	       fstatat(old_fd, link->part->streams[0]->name, &records,
		       AT_SYMLINK_NOFOLLOW) < 0 ||
	       st.st_mtim.tv_sec > records.st_mtim.tv_sec ||
	       (st.st_mtim.tv_sec == records.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec >= records.st_mtim.tv_nsec);
}

/* Whoever wrote it has it without the "@GENERATION" that others add. */
static bool link_one(const struct copy_links *l, struct link *link,
		     const struct snapshot_file *f)
{
	const StreamEntry *s = link->part->streams[link->stream];
	const char *at = strrchr(f->name, '@');
	auto_close int fd = -EBADF;
	char own[sizeof(f->name)];
	struct err unused;

	if (store_open(l->c->job_fd, link->generation, NULL, &fd, &unused) < 0)
		return false;
	if (linkat(fd, f->name, l->c->to_fd, f->name, 0) == 0) {
		link->first = is_first(link, fd, f->name);
		return true;
	}
	if (link->generation != s->borrowed_from || !at)
		return false;
	snprintf(own, sizeof(own), "%.*s", (int)(at - f->name), f->name);
	link->first = true;
	return linkat(fd, own, l->c->to_fd, f->name, 0) == 0;
}

/* The newest that has it. */
static bool link_any(const struct copy_links *l, struct link *link,
		     const struct snapshot_file *f)
{
	const StreamEntry *s = link->part->streams[link->stream];
	struct err unused;
	bool done = false;

	if (!s->has_borrowed_from || begin_as(l->c->user, &unused) < 0)
		return false;
	for (size_t i = l->count; i-- > 0 && !done;) {
		const struct store_generation *g = &l->older[i];

		if (!g->complete || *g->fast_node ||
		    g->number >= l->m->generation ||
		    g->number < s->borrowed_from)
			continue;
		link->generation = g->number;
		done = link_one(l, link, f);
	}
	end_as(l->c->user);
	return done;
}

static void undo(const struct copy_links *l, const struct snapshot_file *f)
{
	struct err unused;

	if (begin_as(l->c->user, &unused) < 0)
		return;
	(void)unlinkat(l->c->to_fd, f->name, 0);
	end_as(l->c->user);
}

int copy_links_try(struct copy_links *l, const struct snapshot_file *f,
		   bool *ret, struct err *err)
{
	struct link link = { 0 };
	struct err why = { 0 };
	int r;

	*ret = false;
	if (!find_stream(l->m, f->name, &link) || !link_any(l, &link, f))
		return 0;
	r = load_part(l, link.part, err);
	if (r < 0)
		return r;
	r = check(l, &link, &why);
	*ret = r == 0;
	if (r == 0)
		return 0;
	undo(l, f);
	err_wrap(&why, r, "generation %u%s", link.generation,
		 r == -EBADMSG ? " is damaged" : "");
	if (l->c->damaged)
		l->c->damaged(l->c->arg, why.text);
	return 0;
}
