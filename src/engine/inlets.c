/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/inlets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/inlet.h"
#include "kernel/maps.h"
#include "kernel/userfault.h"
#include "util/cleanup.h"
#include "util/spans.h"

/* To open less than this takes longer than it saves. */
#define LEAST_BYTES (64u << 10)

struct inlet {
	int fd;
	pid_t pid, ns_pid;
	struct spans open;
};

/* The main stack is in place by itself, and grows. */
static bool is_small(const VmaRecord *v, bool huge_anyway)
{
	const uint64_t others = VMA_GROWSDOWN | VMA_HUGEPAGE;

	return v->kind == VMA_RECORD__KIND__ANON_PRIVATE && !v->has_page_size &&
	       !(v->flags & others) &&
	       (!huge_anyway || v->flags & VMA_NOHUGEPAGE);
}

/* What does not open is written to. */
static int open_run(struct inlet *i, uint64_t start, uint64_t end,
		    struct err *err)
{
	if (end - start < LEAST_BYTES || inlet_open(i->fd, start, end) < 0)
		return 0;
	return spans_add(&i->open, start, end, 0, err);
}

/*
 * What touches is opened together, or not: as long as only a part is, the
 * kernel would give the parts histories of their own, and a program that makes
 * them one mapping again could never move it as such.
 */
static int open_small(const struct building *b, const struct puppet *p,
		      struct inlet *i, struct err *err)
{
	const bool huge_anyway = inlet_huge_anyway();
	const struct plan_record *recs;
	uint64_t start = 0, end = 0;
	size_t count;
	int r = 0;

	recs = plan_find(b->plan, TAG_VMA, (uint32_t)p->task.ns_pid, &count);
	for (size_t k = 0; k < count && r == 0; k++) {
		const VmaRecord *v = (const VmaRecord *)recs[k].msg;

		if (!is_small(v, huge_anyway))
			continue;
		if (v->start != end) {
			r = open_run(i, start, end, err);
			start = v->start;
		}
		end = v->end;
	}
	return r < 0 ? r : open_run(i, start, end, err);
}

int inlet_new(const struct building *b, struct puppet *p, struct inlet **ret,
	      struct err *err)
{
	struct inlet *i = calloc(1, sizeof(*i));
	int r;

	*ret = NULL;
	if (!i)
		return err_num(err, ENOMEM, "contents");
	i->fd = -EBADF;
	i->pid = p->task.pid;
	i->ns_pid = p->task.ns_pid;
	r = puppet_faultfd(p, USERFAULT_FLAGS, &i->fd, err);
	if (r == 0 && i->fd >= 0 && inlet_begin(i->fd) == 0)
		r = open_small(b, p, i, err);
	if (r == 0 && i->open.count)
		*ret = take_ptr(i);
	inlet_free(i);
	return r;
}

void inlet_free(struct inlet *i)
{
	if (!i)
		return;
	if (i->fd >= 0)
		close(i->fd);
	spans_done(&i->open);
	free(i);
}

/* What is there already, as another has it in common with it, is written to. */
static int put_page(const struct inlet *i, struct scatter *s, uint64_t at,
		    const uint8_t *data, struct err *err)
{
	size_t done;
	int r = inlet_put(i->fd, at, data, IMAGE_PAGE, &done);

	if (r == -EEXIST)
		return scatter_put(s, i->pid, i->ns_pid, at, data, IMAGE_PAGE,
				   err);
	return r < 0 ? err_num(err, -r, "pid %d: contents of %#" PRIx64,
			       i->ns_pid, at)
		     : 0;
}

/*
 * As many at once as lie in one mapping of the kernel's, which may have parted
 * what the image has as one.
 */
static int let_in(const struct inlet *i, struct scatter *s, uint64_t at,
		  const uint8_t *data, size_t len, struct err *err)
{
	size_t done, some = len;
	int r = 0;

	for (; len && r == 0; at += done, data += done, len -= done) {
		if (some > len)
			some = len;
		r = inlet_put(i->fd, at, data, some, &done);
		if (r == 0 || done) {
			some = r == 0 ? len : some;
			r = 0;
		} else if (r == -ENOENT && some > IMAGE_PAGE) {
			some = some / 2 / IMAGE_PAGE * IMAGE_PAGE;
			r = 0;
		} else {
			done = IMAGE_PAGE;
			r = put_page(i, s, at, data, err);
		}
	}
	return r;
}

int inlet_take(const struct inlet *i, struct scatter *s, uint64_t at,
	       const uint8_t *data, size_t len, struct err *err)
{
	int r = 0;

	for (size_t k = spans_find(&i->open, at), n; len && r == 0; len -= n) {
		const struct span *o = &i->open.v[k];
		bool inside = k < i->open.count && o->start <= at;
		uint64_t end = k == i->open.count ? UINT64_MAX
			       : inside           ? o->end
						  : o->start;

		n = end - at < len ? (size_t)(end - at) : len;
		r = inside ? let_in(i, s, at, data, n, err)
			   : scatter_put(s, i->pid, i->ns_pid, at, data, n,
					 err);
		k += inside;
		at += n;
		data += n;
	}
	return r;
}
