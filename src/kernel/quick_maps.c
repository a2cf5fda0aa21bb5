/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/quick_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/vma_flags.h"
#include "kernel/vma_iter.h"
#include "kernel/vma_samples.h"
#include "util/cleanup.h"

#define PAGE 4096u

struct quick_maps {
	int iter_fd;
	struct vma_flags flags;
	/* The kernel's own (vsyscall), which is not in the list of a process's
	 * mappings and the same for all; end 0: there is none. */
	struct vma gate;
};

/* The kernel's half. */
static bool is_gate(const struct vma *v)
{
	return v->start > INT64_MAX;
}

static bool same_range(const struct vma *v, const struct vma_seen *s)
{
	return v->start == s->start && v->end == s->end;
}

static bool has_policy(const struct vma_seen *s)
{
	return s->policy || s->policies;
}

/*
 * Pages that are not a file's are shared by a fork, or by KSM.  A fork makes
 * the child's mapping a child, until that has ended, of the memory's anon_vma
 * (mm/rmap.c), and its own is not the root then; the root counts itself.
 */
static bool is_alone(const struct vma_seen *s)
{
	return !s->anon_vma || (s->anon_vma == s->root && s->children == 1);
}

static bool may_be_common(const struct vma *v, const struct vma_seen *s)
{
	return v->shared || v->inode || !is_alone(s) ||
	       (v->flags & (VMA_MERGEABLE | VMA_DONTEXPAND));
}

/* false: smaps knows more. */
static bool fill(const struct quick_maps *q, int proc_fd,
		 const struct vma_seen *s, struct vma *v)
{
	if (!same_range(v, s) ||
	    !vma_flags_tell(&q->flags, s->flags, &v->flags))
		return false;
	v->policy = has_policy(s);
	v->common = may_be_common(v, s);
	/* Huge pages of a pool, segments of System V, memory of a device. */
	v->page_size = s->page_size ? maps_page_size(proc_fd, v->start) : PAGE;
	return v->page_size != 0;
}

static bool fill_gate(const struct quick_maps *q, struct vma *v)
{
	if (v->start != q->gate.start || v->end != q->gate.end ||
	    v->prot != q->gate.prot)
		return false;
	v->flags = q->gate.flags;
	v->page_size = q->gate.page_size;
	v->common = q->gate.common;
	return true;
}

static bool fill_all(const struct quick_maps *q, int proc_fd,
		     const struct vma_seen *seen, size_t count,
		     struct vma_list *list)
{
	size_t at = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct vma *v = &list->v[i];

		if (is_gate(v)
			    ? !fill_gate(q, v)
			    : at == count || !fill(q, proc_fd, &seen[at++], v))
			return false;
	}
	return at == count;
}

bool quick_maps_read(const struct quick_maps *q, pid_t pid, int proc_fd,
		     struct vma_list *ret)
{
	auto_free struct vma_seen *seen = NULL;
	struct err ignored = { 0 };
	struct vma_list list;
	size_t count;

	if (vma_iter_read(q->iter_fd, pid, &seen, &count) < 0 ||
	    maps_read_fast(proc_fd, &list, &ignored) < 0)
		return false;
	if (!fill_all(q, proc_fd, seen, count, &list)) {
		maps_done(&list);
		return false;
	}
	*ret = list;
	return true;
}

/* Our own mappings, as both tell of them. */
struct own {
	struct vma_list maps;
	struct vma_seen *before, *after;
	size_t nbefore, nafter;
};

static int look_at_own(const struct quick_maps *q, struct own *o,
		       struct err *err)
{
	auto_close int proc = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	int r;

	if (proc < 0)
		return err_sys(err, "/proc/self");
	r = vma_iter_read(q->iter_fd, getpid(), &o->before, &o->nbefore);
	if (r < 0)
		return err_num(err, r, "iterator over mappings");
	r = maps_read(proc, &o->maps, err);
	if (r < 0)
		return r;
	r = vma_iter_read(q->iter_fd, getpid(), &o->after, &o->nafter);
	return r < 0 ? err_num(err, r, "iterator over mappings") : 0;
}

static void own_done(struct own *o)
{
	maps_done(&o->maps);
	free(o->before);
	free(o->after);
}

static int by_start(const void *key, const void *member)
{
	const uint64_t *start = key;
	const struct vma_seen *s = member;

	return *start < s->start ? -1 : *start > s->start;
}

/* NULL: it was not the same all the time. */
static const struct vma_seen *seen_as(const struct own *o, const struct vma *v)
{
	const struct vma_seen *a, *b;

	if (!o->nbefore || !o->nafter)
		return NULL;
	a = bsearch(&v->start, o->before, o->nbefore, sizeof(*a), by_start);
	b = bsearch(&v->start, o->after, o->nafter, sizeof(*b), by_start);
	return a && b && same_range(v, a) && same_range(v, b) &&
			       a->flags == b->flags
		       ? a
		       : NULL;
}

static void learn(struct quick_maps *q, const struct own *o)
{
	vma_flags_init(&q->flags);
	for (size_t i = 0; i < o->maps.count; i++) {
		const struct vma *v = &o->maps.v[i];
		const struct vma_seen *s = seen_as(o, v);

		if (s)
			vma_flags_learn(&q->flags, s->flags, v->flags);
		if (is_gate(v)) {
			q->gate = *v;
			q->gate.path = NULL;
		}
	}
}

/* What was learned, and what the kernel's fields are thought to mean. */
static bool is_understood(const struct quick_maps *q, const struct own *o,
			  const struct vma_samples *samples)
{
	bool plain = false, bound = false;

	for (size_t i = 0; i < o->maps.count; i++) {
		const struct vma *v = &o->maps.v[i];
		const struct vma_seen *s = seen_as(o, v);
		uint64_t flags;

		if (!s)
			continue;
		if (!vma_flags_tell(&q->flags, s->flags, &flags) ||
		    flags != v->flags || v->pkey ||
		    (!s->page_size && v->page_size != PAGE))
			return false;
		if (v->start == samples->plain)
			plain = !has_policy(s) && s->anon_vma && is_alone(s);
		if (v->start == samples->bound)
			bound = has_policy(s);
	}
	return plain && bound;
}

static int study(struct quick_maps *q, struct err *err)
{
	struct vma_samples samples;
	struct own own = { 0 };
	int r = vma_samples_make(&samples);

	if (r < 0)
		return err_num(err, r, "mappings to learn from");
	r = look_at_own(q, &own, err);
	if (r == 0) {
		learn(q, &own);
		if (!is_understood(q, &own, &samples))
			r = err_set(err, -ENOTSUP,
				    "this kernel's mappings are not "
				    "understood");
	}
	own_done(&own);
	vma_samples_done(&samples);
	return r;
}

int quick_maps_new(struct quick_maps **ret, struct err *err)
{
	struct quick_maps *q;
	int r;

	/* Otherwise it has to be known what is present: that smaps tells. */
	if (!pagemap_finds())
		return err_set(err, -ENOTSUP, "pages have to be looked for");
	q = calloc(1, sizeof(*q));
	if (!q)
		return err_num(err, ENOMEM, "mappings");
	q->iter_fd = vma_iter_open();
	r = q->iter_fd < 0 ? err_num(err, q->iter_fd, "iterator over mappings")
			   : study(q, err);
	if (r < 0)
		quick_maps_free(q);
	else
		*ret = q;
	return r;
}

void quick_maps_free(struct quick_maps *q)
{
	if (!q)
		return;
	if (q->iter_fd >= 0)
		close(q->iter_fd);
	free(q);
}
