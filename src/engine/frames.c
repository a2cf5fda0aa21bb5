/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A handler of a signal that interrupted the vDSO returns into the middle of
 * it.  Its frame is on the stack of the thread, or on the one that a frame
 * found there leads to.  Only looked for where the code could not go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "engine/foreign.h"
#include "engine/foreign_plan.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "util/cleanup.h"

#define CHUNK_WORDS 8192u
/* More than that is no stack that is in use. */
#define STACK_MAX  (64ull << 20)
#define STACKS_MAX 8
#define WORD       sizeof(uint64_t)
#define CODE_64    0x33u
#define FLAGS_ONE  0x2ull      /* always set */
#define FLAGS_ALL  0x3f7fd7ull /* that may be set */

static const VmaRecord *find_vma(const struct plan *plan, int32_t pid,
				 uint64_t at)
{
	const struct plan_record *recs;
	size_t count;

	recs = plan_find(plan, TAG_VMA, (uint32_t)pid, &count);
	for (size_t i = 0; i < count; i++) {
		const VmaRecord *v = (const VmaRecord *)recs[i].msg;

		if (at >= v->start && at < v->end)
			return v;
	}
	return NULL;
}

/* Four words of a frame in a row: sp, ip, flags, segments. */
static bool is_frame(const uint64_t *w)
{
	return (w[2] & FLAGS_ONE) && !(w[2] & ~FLAGS_ALL) &&
	       (w[3] & 0xffff) == CODE_64;
}

struct search {
	const struct building *b;
	const struct puppet *p;
	const VmaRecord *vdso, *stack;
	int32_t tid;
	uint64_t leads_to; /* another stack; 0: none */
	uint64_t words[CHUNK_WORDS];
};

static int look_at_chunk(struct search *s, size_t n, struct err *err)
{
	for (size_t i = 0; i + 4 <= n; i++) {
		const uint64_t *w = s->words + i;

		if (!is_frame(w))
			continue;
		if (w[1] >= s->vdso->start && w[1] < s->vdso->end &&
		    !foreign_goes_on(s->b->plan, w[1] - s->vdso->start))
			return err_set(
				err, -ENOTSUP,
				"thread %d is in a handler of a signal "
				"that interrupted the vDSO of kernel "
				"%s, which is not this kernel's: restore "
				"on a node with that kernel, or take "
				"another snapshot",
				s->tid, s->b->plan->part->kernel_release);
		if (w[0] < s->stack->start || w[0] >= s->stack->end)
			s->leads_to = w[0];
	}
	return 0;
}

/* What cannot be read (a guard, no access) ends a stack. */
static int search_stack(struct search *s, uint64_t at, struct err *err)
{
	uint64_t end = s->stack->end;
	int r = 0;

	if (end - at > STACK_MAX)
		end = at + STACK_MAX;
	while (at < end && r == 0) {
		struct iovec to = { s->words, sizeof(s->words) };
		struct iovec from = { (void *)(uintptr_t)at, end - at };
		ssize_t n;

		if (from.iov_len > to.iov_len)
			from.iov_len = to.iov_len;
		n = process_vm_readv(s->p->task.pid, &to, 1, &from, 1, 0);
		if (n <= 0)
			return 0;
		r = look_at_chunk(s, (size_t)n / WORD, err);
		/* A frame may lie across two chunks. */
		at += (size_t)n == sizeof(s->words) ? (size_t)n - 3 * WORD
						    : (size_t)n;
	}
	return r;
}

static int search_thread(struct search *s, struct err *err)
{
	const struct plan_record *recs;
	struct user_regs_struct regs;
	uint64_t at;
	size_t count;
	int r = 0;

	recs = plan_find(s->b->plan, TAG_REGS, (uint32_t)s->tid, &count);
	memcpy(&regs, ((const RegsRecord *)recs[0].msg)->general, sizeof(regs));
	at = regs.rsp;
	for (size_t i = 0; i < STACKS_MAX && at && r == 0; i++) {
		s->stack = find_vma(s->b->plan, s->vdso->pid, at);
		s->leads_to = 0;
		if (s->stack)
			r = search_stack(s, at & ~(uint64_t)(WORD - 1), err);
		at = s->leads_to;
	}
	return r;
}

int frames_check(const struct building *b, const struct puppet *p,
		 struct err *err)
{
	auto_free struct search *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return err_num(err, ENOMEM, "stacks");
	s->b = b;
	s->p = p;
	s->vdso = foreign_vdso(b->plan, p->task.ns_pid);
	for (size_t i = 0; i < p->task.nthreads && r == 0; i++) {
		s->tid = p->task.threads[i].ns_tid;
		r = search_thread(s, err);
	}
	return r;
}
