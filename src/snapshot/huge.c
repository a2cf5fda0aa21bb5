/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/huge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "images/files.pb-c.h"
#include "images/limits.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "snapshot/extents.h"
#include "util/cleanup.h"

static int size_index(uint64_t page_size)
{
	for (int i = 0; i < HUGETLB_SIZES; i++)
		if (hugetlb_sizes[i] == page_size)
			return i;
	return -1;
}

static bool maps_object(const VmaRecord *v)
{
	return v->kind == VMA_RECORD__KIND__FILE_PRIVATE ||
	       v->kind == VMA_RECORD__KIND__FILE_SHARED ||
	       v->kind == VMA_RECORD__KIND__SHMEM_PRIVATE ||
	       v->kind == VMA_RECORD__KIND__SHMEM_SHARED;
}

static bool is_shared(const VmaRecord *v)
{
	return v->kind == VMA_RECORD__KIND__FILE_SHARED ||
	       v->kind == VMA_RECORD__KIND__SHMEM_SHARED;
}

static uint64_t offset_of(const VmaRecord *v)
{
	return maps_object(v) ? v->offset : 0;
}

static int bad(const VmaRecord *v, uint64_t page_size, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "pid %d: mapping at %#" PRIx64
		       " does not fit pages of %" PRIu64 " bytes",
		       v->pid, v->start, page_size);
}

static int check_vma(const VmaRecord *v, struct err *err)
{
	uint64_t page = v->page_size;

	if (!v->has_page_size)
		return v->flags & VMA_HUGETLB ? bad(v, IMAGE_PAGE, err) : 0;
	if (size_index(page) < 0 || !(v->flags & VMA_HUGETLB) ||
	    (v->kind != VMA_RECORD__KIND__ANON_PRIVATE && !maps_object(v)) ||
	    (v->flags & VMA_GROWSDOWN) || v->n_guards)
		return bad(v, page, err);
	if (v->start % page || v->end % page || offset_of(v) % page ||
	    offset_of(v) > (uint64_t)INT64_MAX - (v->end - v->start))
		return bad(v, page, err);
	return 0;
}

static int check_object(bool has, uint64_t page, uint64_t size, uint32_t object,
			struct err *err)
{
	if (!has)
		return 0;
	if (size_index(page) < 0 || size % page || size > INT64_MAX)
		return err_set(err, -EBADMSG,
			       "object %u: %" PRIu64 " bytes do not fit pages "
			       "of %" PRIu64 " bytes",
			       object, size, page);
	return 0;
}

int huge_check(const ProtobufCMessage *msg, struct err *err)
{
	const ShmemRecord *s = (const ShmemRecord *)msg;
	const GhostRecord *g = (const GhostRecord *)msg;

	if (msg->descriptor == &vma_record__descriptor)
		return check_vma((const VmaRecord *)msg, err);
	if (msg->descriptor == &shmem_record__descriptor)
		return check_object(s->has_page_size, s->page_size, s->size,
				    s->object, err);
	return check_object(g->has_page_size, g->page_size, g->size, g->object,
			    err);
}

/* ---- how many -------------------------------------------------------------
 */

/* What can be mapped, by the number that a mapping names it with. */
struct object {
	uint32_t id;    /* of the ShmemRecord, or the FileRecord */
	uint32_t owner; /* of its pages; 0: an ordinary file */
	uint64_t page;  /* their size, or 0 */
	bool counted;
};

/* Memory of one owner that takes huge pages. */
struct span {
	int32_t pid;
	uint32_t object;
	uint64_t start, end, page;
};

struct counting {
	const struct meta *meta;
	struct object *objects; /* by id */
	size_t nobjects;
	struct extent_list extents; /* by owner and address */
	struct span *spans;
	size_t nspans, room;
};

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_id(const void *a, const void *b)
{
	return compare(((const struct object *)a)->id,
		       ((const struct object *)b)->id);
}

static int compare_place(int32_t pid_a, uint32_t object_a, uint64_t at_a,
			 int32_t pid_b, uint32_t object_b, uint64_t at_b)
{
	if (pid_a != pid_b)
		return pid_a < pid_b ? -1 : 1;
	return object_a != object_b ? compare(object_a, object_b)
				    : compare(at_a, at_b);
}

static int by_address(const void *a, const void *b)
{
	const struct extent_ref *x = a, *y = b;

	return compare_place(x->pid, x->object, x->extent->address, y->pid,
			     y->object, y->extent->address);
}

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return compare_place(x->pid, x->object, x->start, y->pid, y->object,
			     y->start);
}

static const struct object *find_object(const struct counting *c, uint32_t id)
{
	const struct object key = { .id = id };

	return c->nobjects ? bsearch(&key, c->objects, c->nobjects, sizeof(key),
				     by_id)
			   : NULL;
}

static bool object_of(const struct meta_entry *e, struct object *ret)
{
	const ShmemRecord *s = (const ShmemRecord *)e->msg;
	const GhostRecord *g = (const GhostRecord *)e->msg;

	if (e->tag == TAG_SHMEM)
		*ret = (struct object){ s->object, s->object,
					s->has_page_size ? s->page_size : 0,
					true };
	else if (e->tag == TAG_GHOST)
		*ret = (struct object){ g->object, g->object,
					g->has_page_size ? g->page_size : 0,
					!g->linked };
	else
		return false;
	return true;
}

/* A file that was opened or mapped has the pages of its contents. */
static void add_files(struct counting *c)
{
	size_t owners = c->nobjects;

	for (size_t i = 0; i < c->meta->count; i++) {
		const FileRecord *f =
			(const FileRecord *)c->meta->entries[i].msg;
		const struct object *ghost;
		struct object key = { 0 };

		if (c->meta->entries[i].tag != TAG_FILE || !f->has_ghost)
			continue;
		key.id = f->ghost;
		ghost = bsearch(&key, c->objects, owners, sizeof(key), by_id);
		if (!ghost)
			continue;
		c->objects[c->nobjects] = *ghost;
		c->objects[c->nobjects++].id = f->open->object;
	}
}

static int list_objects(struct counting *c, struct err *err)
{
	struct object object;

	c->objects = calloc(c->meta->count + 1, sizeof(*c->objects));
	if (!c->objects)
		return err_num(err, ENOMEM, "%zu records", c->meta->count);
	for (size_t i = 0; i < c->meta->count; i++)
		if (object_of(&c->meta->entries[i], &object))
			c->objects[c->nobjects++] = object;
	if (!c->nobjects)
		return 0;
	qsort(c->objects, c->nobjects, sizeof(object), by_id);
	add_files(c);
	qsort(c->objects, c->nobjects, sizeof(object), by_id);
	return 0;
}

static int add_span(struct counting *c, const struct span *span,
		    struct err *err)
{
	if (c->nspans == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct span *more = reallocarray(c->spans, room, sizeof(*more));

		if (!more)
			return err_num(err, ENOMEM, "%zu pieces of memory",
				       room);
		c->spans = more;
		c->room = room;
	}
	c->spans[c->nspans++] = *span;
	return 0;
}

/* The first extent of an owner that ends behind an address; or count. */
static size_t first_extent(const struct counting *c, const struct span *in)
{
	size_t low = 0, high = c->extents.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct extent_ref *x = &c->extents.refs[middle];

		if (compare_place(x->pid, x->object, x->end - 1,
				  in->pid, in->object, in->start) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Pages of that memory which have contents, as far as it goes. */
static int add_contents(struct counting *c, const struct span *in,
			struct err *err)
{
	int r = 0;

	for (size_t i = first_extent(c, in); i < c->extents.count && r == 0;
	     i++) {
		const struct extent_ref *x = &c->extents.refs[i];
		struct span span = *in;

		if (x->pid != in->pid || x->object != in->object ||
		    x->start >= in->end)
			break;
		if (x->start > in->start)
			span.start = x->start & ~(in->page - 1);
		if (x->end < in->end)
			span.end = (x->end + in->page - 1) & ~(in->page - 1);
		r = add_span(c, &span, err);
	}
	return r;
}

static int add_mapping(struct counting *c, const VmaRecord *v, struct err *err)
{
	const struct object *o =
		maps_object(v) ? find_object(c, v->object) : NULL;
	uint64_t page = v->has_page_size ? v->page_size : 0;
	struct span span = { v->pid, 0, v->start, v->end, page };

	if (maps_object(v) && (o ? o->page : 0) != page)
		return err_set(err, -EBADMSG,
			       "pid %d: mapping at %#" PRIx64
			       " has not pages of the size of object %u",
			       v->pid, v->start, v->object);
	if (!page)
		return 0;
	if (!is_shared(v))
		return v->flags & VMA_NORESERVE ? add_contents(c, &span, err)
						: add_span(c, &span, err);
	if ((v->flags & VMA_NORESERVE) || !o->counted)
		return 0;
	span = (struct span){ 0, o->owner, v->offset,
			      v->offset + (v->end - v->start), page };
	return add_span(c, &span, err);
}

static int add_all(struct counting *c, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->meta->count && r == 0; i++) {
		const struct meta_entry *e = &c->meta->entries[i];
		struct object o;

		if (e->tag == TAG_VMA) {
			r = add_mapping(c, (const VmaRecord *)e->msg, err);
		} else if (object_of(e, &o) && o.page && o.counted) {
			const struct span all = { 0, o.owner, 0, INT64_MAX,
						  o.page };

			r = add_contents(c, &all, err);
		}
	}
	return r;
}

static int check_all(const struct meta *meta, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < meta->count && r == 0; i++)
		if (meta->entries[i].tag == TAG_VMA ||
		    meta->entries[i].tag == TAG_SHMEM ||
		    meta->entries[i].tag == TAG_GHOST)
			r = huge_check(meta->entries[i].msg, err);
	return r;
}

/* Each page once, however many pieces it is in. */
static void count(struct counting *c, struct huge_count *ret)
{
	uint64_t end = 0;

	if (c->nspans)
		qsort(c->spans, c->nspans, sizeof(*c->spans), by_start);
	for (size_t i = 0; i < c->nspans; i++) {
		const struct span *s = &c->spans[i];
		uint64_t start = s->start;

		if (i && s[-1].pid == s->pid && s[-1].object == s->object)
			start = start < end ? end : start;
		else
			end = 0;
		if (s->end <= start)
			continue;
		ret->pages[size_index(s->page)] += (s->end - start) / s->page;
		end = s->end;
	}
}

int huge_needed(const struct meta *meta, struct huge_count *ret,
		struct err *err)
{
	struct counting c = { .meta = meta };
	int r;

	*ret = (struct huge_count){ 0 };
	r = check_all(meta, err);
	if (r == 0)
		r = list_objects(&c, err);
	if (r == 0)
		r = extents_collect(meta, &c.extents, err);
	if (r == 0) {
		if (c.extents.count)
			qsort(c.extents.refs, c.extents.count,
			      sizeof(*c.extents.refs), by_address);
		r = add_all(&c, err);
	}
	if (r == 0)
		count(&c, ret);
	free(c.objects);
	free(c.extents.refs);
	free(c.spans);
	return r;
}
