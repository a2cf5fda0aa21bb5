/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "engine/building.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "util/cleanup.h"

static int later(struct puppet *p, const char *what, uint64_t want, long nr,
		 uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		 struct err *err)
{
	int r;

	r = puppet_enter(p, &p->task.threads[0], err);
	if (r == 0)
		r = remote_later(p->task.remote, what, want, err, nr, a0, a1,
				 a2, a3, UINT64_MAX, 0);
	return r < 0 ? err_wrap(err, r, "pid %d", p->task.ns_pid) : 0;
}

/* The other calls at these ranges; what the contents were is forgotten. */
static int for_all(struct puppet *p, const struct spans *s, const char *what,
		   long nr, uint64_t argument, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < s->count && r == 0; i++)
		r = later(p, what, 0, nr, s->v[i].start,
			  s->v[i].end - s->v[i].start, argument, 0, err);
	return r;
}

static int forget(struct puppet *p, const struct spans *pages, struct err *err)
{
	return for_all(p, pages, "MADV_DONTNEED", __NR_madvise, MADV_DONTNEED,
		       err);
}

static int map_block(struct puppet *p, const struct span *block, uint64_t flags,
		     struct err *err)
{
	const uint64_t len = block->end - block->start;
	uint64_t how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	int advice = 0, r;

	if (flags & VMA_NORESERVE)
		how |= MAP_NORESERVE;
	if (flags & VMA_GROWSDOWN)
		how |= MAP_GROWSDOWN;
	r = later(p, "mmap", block->start, __NR_mmap, block->start, len,
		  PROT_READ | PROT_WRITE, how, err);
	/* Huge pages are made, or not, when the contents come in. */
	if (flags & VMA_HUGEPAGE)
		advice = MADV_HUGEPAGE;
	else if ((flags & VMA_NOHUGEPAGE) && !(flags & VMA_GROWSDOWN))
		advice = MADV_NOHUGEPAGE;
	if (r == 0 && advice)
		r = later(p, "MADV_HUGEPAGE", 0, __NR_madvise, block->start,
			  len, (uint64_t)advice, 0, err);
	return r < 0 ? r
		     : spans_add(&p->blocks, block->start, block->end,
				 block->tag, err);
}

/* The blocks in which these pages are; a span of them may be of several. */
static int map_blocks(struct building *b, struct puppet *p,
		      const struct spans *pages, struct err *err)
{
	const struct spans *blocks = &b->heirs.blocks;
	struct spans missing = { 0 };
	size_t next = 0;
	int r;

	r = spans_minus(pages, &p->blocks, false, &missing, err);
	for (size_t i = 0; i < missing.count && r == 0; i++) {
		const struct span *s = &missing.v[i];
		size_t k = spans_find(blocks, s->start);

		/* The last one may be that of the span before. */
		for (k = k < next ? next : k;
		     k < blocks->count && r == 0 && blocks->v[k].start < s->end;
		     next = ++k)
			r = map_block(p, &blocks->v[k],
				      b->heirs.block_flags[blocks->v[k].tag],
				      err);
	}
	if (r == 0)
		r = spans_settle(&p->blocks, err);
	spans_done(&missing);
	return r < 0 ? r : remote_flush(p->task.remote, err);
}

static int put_pages(struct building *b, uint32_t to, const struct spans *pages,
		     struct err *err)
{
	auto_free struct put *puts = calloc(pages->count, sizeof(*puts));

	if (!puts)
		return err_num(err, ENOMEM, "%zu ranges", pages->count);
	for (size_t i = 0; i < pages->count; i++)
		puts[i] = (struct put){
			.to = to,
			.from = pages->v[i].tag,
			.start = pages->v[i].start,
			.end = pages->v[i].end,
		};
	return build_puts(b, puts, pages->count, err);
}

/* What it holds there of others is in the way. */
static int clear_for(struct puppet *p, const struct spans *pages,
		     struct err *err)
{
	struct spans old = { 0 };
	int r;

	r = spans_and(&p->held, pages, false, &old, err);
	if (r == 0)
		r = forget(p, &old, err);
	spans_done(&old);
	return r;
}

/* Whoever descends from it will live at the same place. */
static int make_room(struct building *b, struct puppet *p, struct err *err)
{
	const struct plan_record *vmas;
	size_t nvmas;

	vmas = plan_kind(b->plan, TAG_VMA, &nvmas);
	return puppet_vacate(p, vmas, nvmas, err);
}

static int hold(struct building *b, uint32_t by, const struct spans *pages,
		struct err *err)
{
	struct puppet *p = &b->puppets[by];
	int r;

	r = clear_for(p, pages, err);
	if (r == 0)
		r = map_blocks(b, p, pages, err);
	if (r == 0)
		r = put_pages(b, by, pages, err);
	return r < 0 ? r : spans_lay(&p->held, pages, err);
}

int inherit_before_fork(struct building *b, uint32_t by, uint32_t who,
			struct err *err)
{
	struct spans *wanted = &b->heirs.v[who].inherits;
	struct puppet *p = &b->puppets[by];
	struct spans missing = { 0 };
	int r;

	r = spans_minus(wanted, &p->held, true, &missing, err);
	if (r == 0 && missing.count) {
		r = make_room(b, p, err);
		if (r == 0) {
			r = hold(b, by, &missing, err);
		} else if (r == -ENOMEM && !p->home.start) {
			/* No place is free in all of them: it is copied. */
			spans_done(wanted);
			*err = (struct err){ 0 };
			r = 0;
		}
	}
	spans_done(&missing);
	return r;
}

/* Of each block it has all or nothing. */
static int leave_blocks(struct puppet *p, const struct spans *blocks,
			struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < blocks->count && r == 0; i++) {
		const struct span *k = &blocks->v[i];
		size_t first = spans_find(&p->held, k->start);

		if (first < p->held.count && p->held.v[first].start < k->end)
			r = spans_add(&p->blocks, k->start, k->end, k->tag,
				      err);
		else
			r = later(p, "munmap", 0, __NR_munmap, k->start,
				  k->end - k->start, 0, 0, err);
	}
	return r;
}

static int keep_own(struct puppet *child, const struct puppet *parent,
		    const struct spans *wanted, struct err *err)
{
	struct spans others = { 0 }, rest = { 0 };
	int r;

	r = spans_and(&parent->held, wanted, true, &child->held, err);
	if (r == 0)
		r = leave_blocks(child, &parent->blocks, err);
	if (r == 0)
		r = spans_minus(&parent->held, &child->held, true, &others,
				err);
	if (r == 0)
		r = spans_and(&others, &child->blocks, false, &rest, err);
	if (r == 0)
		r = forget(child, &rest, err);
	spans_done(&others);
	spans_done(&rest);
	return r;
}

int inherit_after_fork(struct building *b, uint32_t by, uint32_t who,
		       struct err *err)
{
	struct puppet *child = &b->puppets[who];

	if (!b->puppets[by].blocks.count)
		return 0;
	return keep_own(child, &b->puppets[by], &b->heirs.v[who].inherits, err);
}

/* Blocks are cut to its mappings, pages to those it is to have. */
static int cut(struct puppet *p, const struct heir *h, struct err *err)
{
	struct spans away = { 0 }, maps = { 0 }, mine = { 0 }, keep = { 0 };
	struct spans drop = { 0 }, rest = { 0 };
	int r;

	r = spans_minus(&p->blocks, &h->maps, false, &away, err);
	if (r == 0)
		r = spans_and(&p->blocks, &h->maps, false, &maps, err);
	if (r == 0)
		r = spans_and(&p->held, &h->common, true, &mine, err);
	if (r == 0)
		r = spans_and(&mine, &maps, false, &keep, err);
	if (r == 0)
		r = spans_minus(&p->held, &keep, true, &drop, err);
	if (r == 0)
		r = spans_and(&drop, &maps, false, &rest, err);
	if (r == 0)
		r = for_all(p, &away, "munmap", __NR_munmap, 0, err);
	if (r == 0)
		r = forget(p, &rest, err);
	spans_done(&away);
	spans_done(&mine);
	spans_done(&drop);
	spans_done(&rest);
	spans_done(&p->held);
	spans_done(&p->blocks);
	p->held = keep;
	p->blocks = maps;
	return r;
}

int inherit_settle(struct building *b, struct puppet *p, struct err *err)
{
	int r;

	if (!p->blocks.count)
		return 0;
	r = cut(p, &b->heirs.v[p - b->puppets], err);
	return r < 0 ? r : remote_flush(p->task.remote, err);
}
