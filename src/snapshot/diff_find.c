/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/tags.h"
#include "snapshot/diff_parts.h"
#include "snapshot/extents.h"
#include "util/cleanup.h"

/* Records of one kind, in an order in which two sides can be walked at once. */
struct row {
	const ProtobufCMessage **list;
	size_t count;
};
typedef int (*order_fn)(const void *a, const void *b);

static int collect(const struct meta *meta, uint32_t tag, order_fn order,
		   struct row *ret, struct err *err)
{
	struct row row = { 0 };

	row.list = calloc(meta->count + 1, sizeof(*row.list));
	if (!row.list)
		return err_num(err, ENOMEM, "records");
	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == tag)
			row.list[row.count++] = meta->entries[i].msg;
	qsort(row.list, row.count, sizeof(*row.list), order);
	*ret = row;
	return 0;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_pid(const void *a, const void *b)
{
	const TaskRecord *x = *(const TaskRecord *const *)a;
	const TaskRecord *y = *(const TaskRecord *const *)b;

	return compare((uint32_t)x->pid, (uint32_t)y->pid);
}

static int by_address(const void *a, const void *b)
{
	const VmaRecord *x = *(const VmaRecord *const *)a;
	const VmaRecord *y = *(const VmaRecord *const *)b;

	return x->pid != y->pid ? compare((uint32_t)x->pid, (uint32_t)y->pid)
				: compare(x->start, y->start);
}

static int compare_bytes(const ProtobufCBinaryData *a,
			 const ProtobufCBinaryData *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int c = n ? memcmp(a->data, b->data, n) : 0;

	return c ? c : compare(a->len, b->len);
}

/* A file that was opened twice is two, in the order of its numbers. */
static int by_path(const void *a, const void *b)
{
	const FileRecord *x = *(const FileRecord *const *)a;
	const FileRecord *y = *(const FileRecord *const *)b;
	int c = compare_bytes(&x->path, &y->path);

	return c ? c : compare(x->open->object, y->open->object);
}

static int same_path(const void *a, const void *b)
{
	const FileRecord *x = *(const FileRecord *const *)a;
	const FileRecord *y = *(const FileRecord *const *)b;

	return compare_bytes(&x->path, &y->path);
}

/* Each of both sides once, in their order, those that match together. */
static int merge(const struct row *before, const struct row *after,
		 order_fn order,
		 int (*each)(struct diff *d, const void *b, const void *a,
			     struct err *err),
		 struct diff *d, struct err *err)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < before->count || k < after->count)) {
		int c = i == before->count ? 1
			: k == after->count
				? -1
				: order(&before->list[i], &after->list[k]);

		r = each(d, c <= 0 ? before->list[i] : NULL,
			 c >= 0 ? after->list[k] : NULL, err);
		i += c <= 0;
		k += c >= 0;
	}
	return r;
}

static void *grow(void *list, size_t count, size_t size, struct err *err)
{
	void *more = list;

	if ((count & (count - 1)) == 0)
		more = reallocarray(list, count ? 2 * count : 1, size);
	if (!more)
		(void)err_num(err, ENOMEM, "differences");
	return more;
}

static int add_task(struct diff *d, const void *before, const void *after,
		    struct err *err)
{
	const TaskRecord *b = before, *a = after;
	struct diff_task *more;

	d->tasks_before += b != NULL;
	d->tasks_after += a != NULL;
	if (b && a && strcmp(b->comm, a->comm) == 0 && b->n_tids == a->n_tids &&
	    b->state == a->state)
		return 0;
	more = grow(d->tasks, d->ntasks, sizeof(*more), err);
	if (!more)
		return err->code;
	d->tasks = more;
	more[d->ntasks++] = (struct diff_task){ b, a };
	return 0;
}

static int add_vma(struct diff *d, const void *before, const void *after,
		   struct err *err)
{
	struct diff_vma *more = grow(d->vmas, d->nvmas, sizeof(*more), err);

	if (!more)
		return err->code;
	d->vmas = more;
	more[d->nvmas++] =
		(struct diff_vma){ .before = before, .after = after };
	return 0;
}

static int add_file(struct diff *d, const void *before, const void *after,
		    struct err *err)
{
	const FileRecord *b = before, *a = after;
	struct diff_file *more;

	if (b && a && b->size == a->size &&
	    b->open->position == a->open->position &&
	    b->mtime_ns == a->mtime_ns && b->inode == a->inode)
		return 0;
	more = grow(d->files, d->nfiles, sizeof(*more), err);
	if (!more)
		return err->code;
	d->files = more;
	more[d->nfiles++] = (struct diff_file){ b, a };
	return 0;
}

static int match(const struct meta *before, const struct meta *after,
		 uint32_t tag, order_fn sorted, order_fn order,
		 int (*each)(struct diff *d, const void *b, const void *a,
			     struct err *err),
		 struct diff *d, struct err *err)
{
	struct row b = { 0 }, a = { 0 };
	int r = collect(before, tag, sorted, &b, err);

	if (r == 0)
		r = collect(after, tag, sorted, &a, err);
	if (r == 0)
		r = merge(&b, &a, order, each, d, err);
	free(b.list);
	free(a.list);
	return r;
}

bool diff_vma_differs(const struct diff_vma *v)
{
	const VmaRecord *b = v->before, *a = v->after;

	return !a || !b || a->end != b->end || a->prot != b->prot ||
	       a->kind != b->kind || a->flags != b->flags || v->bytes.changed ||
	       v->bytes.fresh || v->bytes.gone;
}

/* ---- memory ------------------------------------------------------------ */

static int by_owner(const void *a, const void *b)
{
	const struct extent_ref *x = a, *y = b;

	if (x->pid != y->pid)
		return compare((uint32_t)x->pid, (uint32_t)y->pid);
	if (x->object != y->object)
		return compare(x->object, y->object);
	return compare(x->start, y->start);
}

static int compare_owners(const struct extent_ref *x,
			  const struct extent_ref *y)
{
	return x->pid != y->pid ? compare((uint32_t)x->pid, (uint32_t)y->pid)
				: compare(x->object, y->object);
}

static bool is_same_run(const Extent *a, const Extent *b)
{
	return a->address == b->address && a->pages == b->pages &&
	       a->hash == b->hash;
}

/* The last mapping that begins at or before it: they are sorted. */
static struct diff_vma *find_vma(struct diff *d, int32_t pid, uint64_t at)
{
	size_t low = 0, high = d->nvmas;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct diff_vma *v = &d->vmas[mid];
		const VmaRecord *rec = v->after ? v->after : v->before;

		if ((uint32_t)rec->pid < (uint32_t)pid ||
		    (rec->pid == pid && rec->start <= at))
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &d->vmas[low - 1] : NULL;
}

static uint64_t vma_end(const struct diff_vma *v)
{
	return v->after ? v->after->end : v->before->end;
}

enum fate { SAME, CHANGED, FRESH, GONE };

static void add_bytes(struct diff_bytes *b, enum fate fate, uint64_t bytes)
{
	uint64_t *const where[] = { &b->same, &b->changed, &b->fresh,
				    &b->gone };

	*where[fate] += bytes;
}

/* A run may reach over mappings that touch. */
static void count(struct diff *d, const struct extent_ref *ref, uint64_t start,
		  uint64_t end, enum fate fate)
{
	add_bytes(&d->all, fate, end - start);
	if (!ref->pid) {
		add_bytes(&d->objects, fate, end - start);
		return;
	}
	while (start < end) {
		struct diff_vma *v = find_vma(d, ref->pid, start);
		uint64_t stop = end;

		if (v && vma_end(v) > start && vma_end(v) < end)
			stop = vma_end(v);
		if (v)
			add_bytes(&v->bytes, fate, stop - start);
		start = stop;
	}
}

/*
 * Both lists are sorted; at each step the piece up to the next end or
 * beginning is counted.
 */
static void compare_memory(struct diff *d, struct extent_list *before,
			   struct extent_list *after)
{
	size_t i = 0, k = 0;

	while (i < before->count || k < after->count) {
		struct extent_ref *b =
			i < before->count ? &before->refs[i] : NULL;
		struct extent_ref *a =
			k < after->count ? &after->refs[k] : NULL;
		int c = !b ? 1 : !a ? -1 : compare_owners(b, a);
		uint64_t end;

		if (c < 0 || (c == 0 && b->end <= a->start)) {
			count(d, b, b->start, b->end, GONE);
			i++;
		} else if (c > 0 || a->end <= b->start) {
			count(d, a, a->start, a->end, FRESH);
			k++;
		} else if (b->start < a->start) {
			count(d, b, b->start, a->start, GONE);
			b->start = a->start;
		} else if (a->start < b->start) {
			count(d, a, a->start, b->start, FRESH);
			a->start = b->start;
		} else {
			end = a->end < b->end ? a->end : b->end;
			count(d, a, a->start, end,
			      is_same_run(a->extent, b->extent) ? SAME
								: CHANGED);
			a->start = b->start = end;
			i += b->start == b->end;
			k += a->start == a->end;
		}
	}
}

/* ---- objects that own memory ------------------------------------------- */

/* Numbers are given anew at each cut: an object is known by who maps it. */
struct identity {
	uint32_t object;
	int32_t pid;
	uint64_t address;
	const ProtobufCBinaryData *path;
};

struct identities {
	struct identity *list;
	size_t count;
};

static void note(struct identities *all, const struct identity *one)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].object == one->object)
			return;
	all->list[all->count++] = *one;
}

static int identify(const struct meta *meta, struct identities *ret,
		    struct err *err)
{
	ret->count = 0;
	ret->list = calloc(meta->count + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_num(err, ENOMEM, "objects");
	for (size_t i = 0; i < meta->count; i++) {
		const VmaRecord *v = (const VmaRecord *)meta->entries[i].msg;
		const GhostRecord *g =
			(const GhostRecord *)meta->entries[i].msg;

		if (meta->entries[i].tag == TAG_GHOST)
			note(ret, &(struct identity){ .object = g->object,
						      .path = &g->path });
		else if (meta->entries[i].tag == TAG_VMA &&
			 (v->kind == VMA_RECORD__KIND__SHMEM_SHARED ||
			  v->kind == VMA_RECORD__KIND__SHMEM_PRIVATE))
			note(ret, &(struct identity){ .object = v->object,
						      .pid = v->pid,
						      .address = v->start -
								 v->offset });
	}
	return 0;
}

static bool is_same_object(const struct identity *a, const struct identity *b)
{
	if (!a->path != !b->path)
		return false;
	return a->path ? compare_bytes(a->path, b->path) == 0
		       : a->pid == b->pid && a->address == b->address;
}

/* What the object was called before; else a number that nothing had. */
static uint32_t old_number(const struct identities *before,
			   const struct identities *after, uint32_t object)
{
	for (size_t i = 0; i < after->count; i++) {
		if (after->list[i].object != object)
			continue;
		for (size_t k = 0; k < before->count; k++)
			if (is_same_object(&after->list[i], &before->list[k]))
				return before->list[k].object;
	}
	return UINT32_MAX - object;
}

static int number_alike(const struct meta *before, const struct meta *after,
			struct extent_list *list, struct err *err)
{
	struct identities b = { 0 }, a = { 0 };
	uint32_t last = 0, old = 0;
	int r = identify(before, &b, err);

	if (r == 0)
		r = identify(after, &a, err);
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		if (!list->refs[i].object)
			continue;
		if (list->refs[i].object != last) {
			last = list->refs[i].object;
			old = old_number(&b, &a, last);
		}
		list->refs[i].object = old;
	}
	free(b.list);
	free(a.list);
	return r;
}

static void sort(struct extent_list *list)
{
	if (list->count)
		qsort(list->refs, list->count, sizeof(*list->refs), by_owner);
}

static int find_memory(const struct meta *before, const struct meta *after,
		       struct diff *d, struct err *err)
{
	struct extent_list b = { 0 }, a = { 0 };
	int r = extents_collect(before, &b, err);

	if (r == 0)
		r = extents_collect(after, &a, err);
	if (r == 0)
		r = number_alike(before, after, &a, err);
	if (r == 0) {
		sort(&b);
		sort(&a);
		compare_memory(d, &b, &a);
	}
	free(b.refs);
	free(a.refs);
	return r;
}

/* ---- what is mapped ---------------------------------------------------- */

static const char *kind_name(VmaRecord__Kind kind)
{
	switch (kind) {
	case VMA_RECORD__KIND__SHMEM_SHARED:
	case VMA_RECORD__KIND__SHMEM_PRIVATE:
		return "shared memory";
	case VMA_RECORD__KIND__VDSO:
	case VMA_RECORD__KIND__VVAR:
	case VMA_RECORD__KIND__VVAR_VCLOCK:
		return "of the kernel";
	default:
		return "anonymous";
	}
}

static int by_object(const void *a, const void *b)
{
	const FileRecord *x = *(const FileRecord *const *)a;
	const FileRecord *y = *(const FileRecord *const *)b;

	return compare(x->open->object, y->open->object);
}

static const FileRecord *find_file(const struct row *files, uint32_t object)
{
	size_t low = 0, high = files->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const FileRecord *f = (const FileRecord *)files->list[mid];

		if (f->open->object == object)
			return f;
		if (f->open->object < object)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int name_vma(struct diff_vma *v, const struct row *before,
		    const struct row *after, struct err *err)
{
	const VmaRecord *rec = v->after ? v->after : v->before;
	const FileRecord *f = NULL;

	if (rec->kind == VMA_RECORD__KIND__FILE_PRIVATE ||
	    rec->kind == VMA_RECORD__KIND__FILE_SHARED)
		f = find_file(v->after ? after : before, rec->object);
	v->what = rec->name && *rec->name ? rec->name : kind_name(rec->kind);
	if (!f)
		return 0;
	v->own = strndup((const char *)f->path.data, f->path.len);
	v->what = v->own;
	return v->own ? 0 : err_num(err, ENOMEM, "path");
}

static int name_vmas(const struct meta *before, const struct meta *after,
		     struct diff *d, struct err *err)
{
	struct row b = { 0 }, a = { 0 };
	int r = collect(before, TAG_FILE, by_object, &b, err);

	if (r == 0)
		r = collect(after, TAG_FILE, by_object, &a, err);
	for (size_t i = 0; r == 0 && i < d->nvmas; i++)
		r = name_vma(&d->vmas[i], &b, &a, err);
	free(b.list);
	free(a.list);
	return r;
}

int diff_find(const struct meta *before, const struct meta *after,
	      struct diff *ret, struct err *err)
{
	int r = match(before, after, TAG_TASK, by_pid, by_pid, add_task, ret,
		      err);

	if (r == 0)
		r = match(before, after, TAG_VMA, by_address, by_address,
			  add_vma, ret, err);
	if (r == 0)
		r = match(before, after, TAG_FILE, by_path, same_path, add_file,
			  ret, err);
	if (r == 0)
		r = name_vmas(before, after, ret, err);
	return r < 0 ? r : find_memory(before, after, ret, err);
}

void diff_done(struct diff *d)
{
	for (size_t i = 0; i < d->nvmas; i++)
		free(d->vmas[i].own);
	free(d->tasks);
	free(d->vmas);
	free(d->files);
}
