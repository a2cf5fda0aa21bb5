// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/lender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/cow.h"
#include "util/cleanup.h"

#define PAGE ((uint64_t)IMAGE_PAGE)
#define GAP  (64ull << 10)

static int find_part(struct lender *l, const uint8_t digest[DIGEST_BYTES],
		     struct err *err)
{
	for (size_t i = 0; i < l->manifest->n_parts; i++) {
		const PartEntry *p = l->manifest->parts[i];

		if (!memcmp(p->streams[0]->digest.data, digest, DIGEST_BYTES)) {
			l->part = l->blocks.part = p;
			return 0;
		}
	}
	return err_set(err, -ESTALE, "it is not what it was");
}

static int by_address(const void *a, const void *b)
{
	const struct lent *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

/* Pages that are somebody's. */
static uint64_t count_live(const Extent *x)
{
	uint64_t live = x->n_parts ? 0 : x->pages;

	for (size_t i = 1; i < x->n_parts; i += 2)
		live += x->parts[i];
	return live;
}

/* Of what is spoilt, only what may turn out to be clean. */
static bool may_lend(const struct lender *l, const struct extent_ref *ref)
{
	return ref->pid &&
	       (!SPOILT(l->read_pages, l->live_pages) ||
		EXTENT_CLEAN(count_live(ref->extent), ref->extent->pages));
}

static int make_index(struct lender *l, struct extent_list *list,
		      struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		n += may_lend(l, &list->refs[i]);
	l->v = calloc(n + 1, sizeof(*l->v));
	l->wanted = calloc(n + 1, sizeof(*l->wanted));
	if (!l->v || !l->wanted)
		return err_num(err, ENOMEM, "%zu extents", list->count);
	extents_sort_by_place(list);
	for (size_t i = 0; i < list->count; i++) {
		const struct extent_ref *ref = &list->refs[i];

		if (!may_lend(l, ref))
			continue;
		if (!l->nextents ||
		    l->wanted[l->nextents - 1].extent != ref->extent)
			l->wanted[l->nextents++].extent = ref->extent;
		l->v[l->count++] = (struct lent){
			.pid = ref->pid,
			.start = ref->start,
			.end = ref->end,
			.slot = (uint32_t)l->nextents - 1,
		};
	}
	if (l->count)
		qsort(l->v, l->count, sizeof(*l->v), by_address);
	return 0;
}

/* Little that lies between two extents is read with them: see reader.c. */
static void count_pages(struct lender *l, struct extent_list *list)
{
	uint64_t end = 0;
	uint32_t stream = 0;

	extents_sort_by_place(list);
	for (size_t i = 0; i < list->count; i++) {
		const Extent *x = list->refs[i].extent;
		uint64_t start = x->offset;
		uint64_t stop = start + x->pages * PAGE;

		l->live_pages +=
			(list->refs[i].end - list->refs[i].start) / PAGE;
		/* Behind the one before, or one that is read already. */
		if (x->stream == stream && start <= end + GAP)
			start = end;
		if (stop > start)
			l->read_pages += (stop - start) / PAGE;
		if (x->stream != stream || stop > end)
			end = stop;
		stream = x->stream;
	}
}

/* Two that speak of one page would leave open which one is true. */
static int check_index(const struct lender *l, struct err *err)
{
	for (size_t i = 1; i < l->count; i++)
		if (l->v[i - 1].pid == l->v[i].pid &&
		    l->v[i - 1].end > l->v[i].start)
			return err_set(
				err, -EBADMSG, "pid %d has two pages at %#llx",
				l->v[i].pid, (unsigned long long)l->v[i].start);
	return 0;
}

static int check_length(const struct lender *l, struct err *err)
{
	const PartEntry *part = l->part;
	uint64_t bytes = 0, most;

	for (size_t k = 1; k < part->n_streams; k++)
		bytes += part->streams[k]->length;
	most = LENDER_RECORDS + (bytes >> 20) * LENDER_EACH;
	return part->streams[0]->length > most
		       ? err_set(err, -E2BIG,
				 "it lies in too many pieces: %llu KiB of "
				 "records, at most %llu",
				 (unsigned long long)part->streams[0]->length >>
					 10,
				 (unsigned long long)most >> 10)
		       : 0;
}

int lender_open(int dir_fd, const struct user_id *user, const char *job_id,
		uint32_t generation, const uint8_t digest[DIGEST_BYTES],
		struct lender *ret, struct err *err)
{
	struct extent_list list = { 0 };
	int r = snapshot_manifest(dir_fd, user, &ret->manifest, err);

	ret->generation = generation;
	if (r == 0)
		r = snapshot_check_identity(ret->manifest, job_id, generation,
					    err);
	if (r == 0)
		r = find_part(ret, digest, err);
	if (r == 0)
		r = check_length(ret, err);
	if (r == 0)
		r = snapshot_meta(dir_fd, user, ret->part, &ret->meta, err);
	if (r == 0)
		r = snapshot_check_meta(ret->part, &ret->meta, err);
	if (r == 0)
		r = blocks_collect(&ret->meta, &ret->blocks, err);
	if (r == 0)
		r = extents_collect(&ret->meta, &list, err);
	if (r == 0)
		count_pages(ret, &list);
	if (r == 0)
		r = cow_resolve(&ret->meta, 0, &list, err);
	if (r == 0)
		r = make_index(ret, &list, err);
	if (r == 0)
		r = check_index(ret, err);
	free(list.refs);
	if (r < 0)
		ret->part = NULL;
	return r;
}

void lender_done(struct lender *l)
{
	blocks_done(&l->blocks);
	meta_done(&l->meta);
	if (l->manifest)
		manifest_record__free_unpacked(l->manifest, NULL);
	free(l->v);
	free(l->wanted);
	memset(l, 0, sizeof(*l));
}

size_t lender_find(const struct lender *l, int32_t pid, uint64_t address)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct lent *x = &l->v[mid];

		if (x->pid < pid || (x->pid == pid && x->end <= address))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}
