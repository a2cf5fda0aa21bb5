/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A handler of a signal returns to what its frame says: into the middle of a
 * vDSO that is no longer there, or with registers that this node has not,
 * which the kernel would take away without a word.  Frames are on the stack
 * of the thread, or on the one that a frame found there leads to.  Only
 * looked for where one of that can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/building.h"
#include "engine/foreign_plan.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "kernel/proc.h"
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

/* Words of a frame in a row: sp, ip, flags, segments, ..., state. */
#define FRAME_WORDS 9
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
	uint64_t home;     /* only looked for: code of own there; 0: checked */
	struct vdso_function own[VDSO_FUNCTIONS];
	size_t nown, own_len;
	bool met;
	int mem; /* process_vm_readv would end sharing copy-on-write */
	uint64_t words[CHUNK_WORDS];
};

/* An entry is one, whatever is behind it. */
static void note_code(struct search *s, uint64_t ip)
{
	if (ip - s->home >= s->own_len)
		return;
	for (size_t i = 0; i < s->nown; i++)
		if (s->own[i].offset == ip - s->home)
			return;
	s->met = true;
}

static int check_code(const struct search *s, uint64_t ip, struct err *err)
{
	const struct plan *plan = s->b->plan;

	if (!plan->foreign || ip < s->vdso->start || ip >= s->vdso->end ||
	    foreign_goes_on(plan, ip - s->vdso->start))
		return 0;
	return err_set(err, -ENOTSUP,
		       "thread %d is in a handler of a signal that interrupted "
		       "the vDSO of kernel %s, which is not this kernel's: "
		       "restore on a node with that kernel, or take another "
		       "snapshot",
		       s->tid, plan->part->kernel_release);
}

/* What the kernel notes behind the legacy registers of a frame. */
struct noted {
	uint32_t magic, extended_size;
	uint64_t features;
	uint32_t size;
};
#define NOTED_AT    464
#define NOTED_MAGIC 0x46505853u

static int check_state(const struct search *s, uint64_t at, struct err *err)
{
	const struct plan *plan = s->b->plan;
	struct noted noted = { 0 };

	if (!plan->missing_states ||
	    pread(s->mem, &noted, sizeof(noted), (off_t)(at + NOTED_AT)) !=
		    (ssize_t)sizeof(noted) ||
	    noted.magic != NOTED_MAGIC || noted.size <= plan->cpu.xstate_size)
		return 0;
	return err_set(err, -ENOTSUP,
		       "thread %d is in a handler of a signal, to be left with "
		       "more registers than this node has: restore on one like "
		       "%s, or take another snapshot",
		       s->tid, plan->part->node);
}

static int look_at_chunk(struct search *s, size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i + FRAME_WORDS <= n && r == 0; i++) {
		const uint64_t *w = s->words + i;

		if (!is_frame(w))
			continue;
		note_code(s, w[1]);
		if (!s->home)
			r = check_code(s, w[1], err);
		if (r == 0 && !s->home)
			r = check_state(s, w[FRAME_WORDS - 1], err);
		if (w[0] < s->stack->start || w[0] >= s->stack->end)
			s->leads_to = w[0];
	}
	return r;
}

/* What cannot be read (a guard, no access) ends a stack. */
static int search_stack(struct search *s, uint64_t at, struct err *err)
{
	uint64_t end = s->stack->end;
	int r = 0;

	if (end - at > STACK_MAX)
		end = at + STACK_MAX;
	while (at < end && r == 0) {
		size_t want = end - at < sizeof(s->words) ? end - at
							  : sizeof(s->words);
		ssize_t n = pread(s->mem, s->words, want, (off_t)at);

		if (n <= 0)
			return 0;
		r = look_at_chunk(s, (size_t)n / WORD, err);
		/* A frame may lie across two chunks. */
		at += (size_t)n == sizeof(s->words)
			      ? (size_t)n - (FRAME_WORDS - 1) * WORD
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
	note_code(s, regs.rip);
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

static int search_task(struct search *s, const struct puppet *p,
		       struct err *err)
{
	auto_close int proc = -EBADF;
	auto_close int mem = -EBADF;
	int r;

	r = proc_open(p->task.pid, 0, &proc, err);
	if (r < 0)
		return r;
	mem = openat(proc, "mem", O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		return err_sys(err, "pid %d: mem", p->task.ns_pid);
	s->mem = mem;
	s->p = p;
	s->vdso = foreign_vdso(s->b->plan, p->task.ns_pid);
	for (size_t i = 0; i < p->task.nthreads && r == 0; i++) {
		s->tid = p->task.threads[i].ns_tid;
		r = search_thread(s, err);
	}
	return r;
}

int build_frames(const struct building *b, struct err *err)
{
	auto_free struct search *s = NULL;
	int r = 0;

	if (!b->plan->foreign && !b->plan->missing_states)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_num(err, ENOMEM, "stacks");
	s->b = b;
	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		if (!b->puppets[i].task.zombie)
			r = search_task(s, &b->puppets[i], err);
	return r;
}

int frames_lead_to(const struct building *b, const struct puppet *p,
		   uint64_t home, const struct vdso_image *own, bool *ret,
		   struct err *err)
{
	auto_free struct search *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_num(err, ENOMEM, "stacks");
	s->b = b;
	s->home = home;
	s->own_len = own->len;
	r = vdso_functions(own, s->own, &s->nown, err);
	if (r == 0)
		r = search_task(s, p, err);
	*ret = s->met;
	return r;
}
