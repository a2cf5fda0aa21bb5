/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/extents.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/tags.h"
#include "util/cleanup.h"

/* Where memory of an owner may be: a mapping, or the size of an object. */
struct room {
	int32_t pid;
	uint32_t object;
	uint64_t start, end;
};

struct room_list {
	struct room *rooms;
	size_t count;
};

static uint64_t bytes_of(const Extent *x)
{
	return (uint64_t)x->pages * IMAGE_PAGE;
}

/* Room for the refs of all extents of a record. */
static size_t count_refs(const PagesRecord *p)
{
	size_t count = 0;

	for (size_t k = 0; k < p->n_extents; k++)
		count += p->extents[k]->n_parts ? p->extents[k]->n_parts / 2
						: 1;
	return count;
}

static int bad_parts(const Extent *x, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "extent 0x%" PRIx64 ", %u pages: its parts are none of "
		       "it",
		       x->address, x->pages);
}

/* Each lies behind the one before, not touching it, and all in the run. */
static int add_parts(struct extent_list *list, const PagesRecord *p,
		     const Extent *x, struct err *err)
{
	uint64_t at = 0;

	if (x->n_parts % 2)
		return bad_parts(x, err);
	for (size_t i = 0; i < x->n_parts; i += 2) {
		uint64_t start = at + x->parts[i];

		at = start + x->parts[i + 1];
		if ((i && !x->parts[i]) || at == start || at > x->pages)
			return bad_parts(x, err);
		list->refs[list->count++] = (struct extent_ref){
			.extent = x,
			.pid = p->pid,
			.object = p->object,
			.start = x->address + start * IMAGE_PAGE,
			.end = x->address + at * IMAGE_PAGE,
		};
	}
	return 0;
}

static int add_record(struct extent_list *list, const PagesRecord *p,
		      struct err *err)
{
	int r = 0;

	for (size_t k = 0; k < p->n_extents && r == 0; k++) {
		const Extent *x = p->extents[k];

		list->extents++;
		if (x->n_parts)
			r = add_parts(list, p, x, err);
		else
			list->refs[list->count++] = (struct extent_ref){
				.extent = x,
				.pid = p->pid,
				.object = p->object,
				.start = x->address,
				.end = x->address + bytes_of(x),
			};
	}
	return r;
}

int extents_collect(const struct meta *meta, struct extent_list *ret,
		    struct err *err)
{
	struct extent_list list = { 0 };
	size_t i, count = 0;
	int r = 0;

	for (i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_PAGES)
			count += count_refs(
				(const PagesRecord *)meta->entries[i].msg);
	list.refs = calloc(count ? count : 1, sizeof(*list.refs));
	if (!list.refs)
		return err_num(err, ENOMEM, "%zu extents", count);
	for (i = 0; i < meta->count && r == 0; i++)
		if (meta->entries[i].tag == TAG_PAGES)
			r = add_record(
				&list,
				(const PagesRecord *)meta->entries[i].msg, err);
	if (r < 0) {
		free(list.refs);
		return r;
	}
	list.room = list.count;
	*ret = list;
	return 0;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_place(const void *a, const void *b)
{
	const struct extent_ref *v = a, *w = b;
	const Extent *x = v->extent, *y = w->extent;

	if (x->stream != y->stream)
		return compare(x->stream, y->stream);
	if (x->offset != y->offset)
		return compare(x->offset, y->offset);
	/* In a borrowed stream two may be at one place. */
	return x != y ? compare((uintptr_t)x, (uintptr_t)y)
		      : compare(v->start, w->start);
}

static int compare_owner(int32_t pid_a, uint32_t object_a, int32_t pid_b,
			 uint32_t object_b)
{
	if (pid_a != pid_b)
		return pid_a < pid_b ? -1 : 1;
	return compare(object_a, object_b);
}

static int by_owner(const void *a, const void *b)
{
	const struct extent_ref *x = a, *y = b;
	int c = compare_owner(x->pid, x->object, y->pid, y->object);

	return c ? c : compare(x->start, y->start);
}

static int by_room(const void *a, const void *b)
{
	const struct room *x = a, *y = b;
	int c = compare_owner(x->pid, x->object, y->pid, y->object);

	return c ? c : compare(x->start, y->start);
}

void extents_sort_by_place(struct extent_list *list)
{
	size_t i;

	/* They mostly are as they were written. */
	for (i = 1; i < list->count; i++)
		if (by_place(&list->refs[i - 1], &list->refs[i]) > 0)
			break;
	if (i < list->count)
		qsort(list->refs, list->count, sizeof(*list->refs), by_place);
}

static int bad(const struct extent_ref *ref, const char *what, struct err *err)
{
	const Extent *x = ref->extent;

	return err_set(err, -EBADMSG,
		       "%s %" PRId64 ": extent 0x%" PRIx64
		       ", %u pages, at %" PRIu64 " of stream %u: %s",
		       ref->pid ? "pid" : "object",
		       ref->pid ? (int64_t)ref->pid : (int64_t)ref->object,
		       x->address, x->pages, x->offset, x->stream, what);
}

static bool is_borrowed(const struct blocks *blocks, size_t stream)
{
	return blocks->part->streams[stream]->has_borrowed_from;
}

static int check_alone(const struct blocks *blocks,
		       const struct extent_ref *ref, struct err *err)
{
	const Extent *x = ref->extent;
	uint64_t length, end;

	if (!ref->pid == !ref->object || ref->pid < 0)
		return bad(ref, "owned by one process or object", err);
	if (!x->pages || x->pages > EXTENT_MAX_PAGES)
		return bad(ref, "its length is not allowed", err);
	if (x->address % IMAGE_PAGE || x->offset % IMAGE_PAGE)
		return bad(ref, "not at a page", err);
	if (x->address > UINT64_MAX - bytes_of(x))
		return bad(ref, "beyond all memory", err);
	if (!x->stream || x->stream >= blocks->part->n_streams)
		return bad(ref, "there is no such stream", err);
	length = blocks_length(blocks, x->stream);
	if (x->offset > length || bytes_of(x) > length - x->offset)
		return bad(ref, "it goes beyond the end of the stream", err);
	if (x->n_parts && (!ref->pid || !is_borrowed(blocks, x->stream)))
		return bad(ref, "only what a process borrows has parts", err);
	end = blocks_end(blocks, x->stream, x->offset);
	if (bytes_of(x) > end - x->offset)
		return bad(ref, "it goes beyond the end of its block", err);
	return 0;
}

/*
 * Sorted by place: each begins where the one before ended.  What others have
 * left of a borrowed stream may be anywhere in it.
 */
static int check_tiling(const struct blocks *blocks,
			const struct extent_list *list, struct err *err)
{
	const PartEntry *part = blocks->part;
	size_t i = 0, k;

	for (k = 1; k < part->n_streams; k++) {
		uint64_t end = 0;

		for (; i < list->count; i++) {
			const struct extent_ref *ref = &list->refs[i];

			if (ref->extent->stream != k)
				break;
			if (is_borrowed(blocks, k))
				continue;
			if (ref->extent->offset != end)
				return bad(ref,
					   "it overlaps the one before, or "
					   "nothing describes what is between",
					   err);
			end += bytes_of(ref->extent);
		}
		if (!is_borrowed(blocks, k) && end != blocks_length(blocks, k))
			return err_set(err, -EBADMSG,
				       "%s: extents end at %" PRIu64
				       ", it has %" PRIu64 " bytes",
				       part->streams[k]->name, end,
				       blocks_length(blocks, k));
	}
	return 0;
}

static bool room_of(const struct meta_entry *e, struct room *ret)
{
	const VmaRecord *vma = (const VmaRecord *)e->msg;
	const ShmemRecord *shmem = (const ShmemRecord *)e->msg;
	const GhostRecord *ghost = (const GhostRecord *)e->msg;

	*ret = (struct room){ 0 };
	switch (e->tag) {
	case TAG_VMA:
		ret->pid = vma->pid;
		ret->start = vma->start;
		ret->end = vma->end;
		return true;
	case TAG_SHMEM:
		ret->object = shmem->object;
		ret->end = shmem->size;
		break;
	case TAG_GHOST:
		ret->object = ghost->object;
		ret->end = ghost->size;
		break;
	default:
		return false;
	}
	if (ret->end > UINT64_MAX - IMAGE_PAGE)
		ret->end = UINT64_MAX - IMAGE_PAGE;
	ret->end = (ret->end + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE;
	return true;
}

static int collect_rooms(const struct meta *meta, struct room_list *ret,
			 struct err *err)
{
	struct room_list list = { 0 };
	struct room room;
	size_t i;

	for (i = 0; i < meta->count; i++)
		list.count += room_of(&meta->entries[i], &room);
	list.rooms = calloc(list.count ? list.count : 1, sizeof(room));
	if (!list.rooms)
		return err_num(err, ENOMEM, "%zu mappings", list.count);
	list.count = 0;
	for (i = 0; i < meta->count; i++)
		if (room_of(&meta->entries[i], &room))
			list.rooms[list.count++] = room;
	if (list.count)
		qsort(list.rooms, list.count, sizeof(room), by_room);
	*ret = list;
	return 0;
}

static int check_rooms(const struct room_list *list, struct err *err)
{
	size_t i;

	for (i = 1; i < list->count; i++) {
		const struct room *a = &list->rooms[i - 1];
		const struct room *b = &list->rooms[i];

		if (compare_owner(a->pid, a->object, b->pid, b->object) == 0 &&
		    (!b->pid || a->end > b->start))
			return err_set(err, -EBADMSG,
				       "%s %" PRId64 ": memory at 0x%" PRIx64
				       " is described twice",
				       b->pid ? "pid" : "object",
				       b->pid ? (int64_t)b->pid
					      : (int64_t)b->object,
				       b->start);
	}
	return 0;
}

/* Both sorted by owner; an extent may reach over mappings that touch. */
static int check_owners(const struct extent_list *list,
			const struct room_list *rooms, struct err *err)
{
	size_t i, k = 0;

	for (i = 0; i < list->count; i++) {
		const struct extent_ref *ref = &list->refs[i];
		uint64_t at = ref->start, end = ref->end;

		if (i && by_owner(ref - 1, ref) >= 0)
			return bad(ref, "its place is taken twice", err);
		if (i &&
		    !compare_owner(ref[-1].pid, ref[-1].object, ref->pid,
				   ref->object) &&
		    ref[-1].end > at)
			return bad(ref, "it overlaps another", err);
		for (; k < rooms->count && at < end; k++) {
			const struct room *room = &rooms->rooms[k];
			int c = compare_owner(room->pid, room->object, ref->pid,
					      ref->object);

			if (c > 0 || (c == 0 && room->start > at))
				break;
			if (c < 0 || room->end <= at)
				continue;
			at = room->end;
			if (at >= end)
				break;
		}
		if (at < end)
			return bad(ref, "it lies outside of its owner", err);
	}
	return 0;
}

int extents_check(const struct blocks *blocks, const struct meta *meta,
		  struct extent_list *list, struct err *err)
{
	struct room_list rooms = { 0 };
	size_t i;
	int r;

	for (i = 0; i < list->count; i++) {
		r = check_alone(blocks, &list->refs[i], err);
		if (r < 0)
			return r;
	}
	r = collect_rooms(meta, &rooms, err);
	if (r < 0)
		return r;
	r = check_rooms(&rooms, err);
	if (r == 0 && list->count) {
		qsort(list->refs, list->count, sizeof(*list->refs), by_owner);
		r = check_owners(list, &rooms, err);
	}
	free(rooms.rooms);
	if (r < 0)
		return r;
	extents_sort_by_place(list);
	return check_tiling(blocks, list, err);
}
