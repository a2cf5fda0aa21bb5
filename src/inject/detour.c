/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that a thread makes by itself on its way home: frames that lead from
 * one to the next, and from the last to the thread's own.  They undo what
 * must not outlive the tracer, or they are many calls with one stop in all.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "inject/frame.h"
#include "inject/remote_parts.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PAGE 4096
/* A thread that has ended its chain waits so long for us: it must not get
 * home before we see it, nor stay away long when we died. */
#define NAP_SECONDS 2
#define PATIENCE_NS (10 * NSEC_PER_SEC)

/* Of the buffer: what the caller has, what belongs to us, frames. */
#define AREA   REMOTE_DATA
#define NAP    (AREA + FRAME_AREA)
#define MARK   (NAP + sizeof(struct timespec))
#define FRAMES (NAP + 64)

/* As many calls as a chain has room for, with the two at its end. */
#define CHAIN_MAX 36

static int begin_detours(struct remote *r, struct err *err)
{
	uint8_t area[FRAME_AREA];

	frame_area(area);
	r->dirty = true;
	return remote_lay(r, r->buffer + AREA, area, sizeof(area), err);
}

/*
 * Behind the stack pointer that calls get from now on lies a frame that
 * leads to this call, and from there to what was there before.
 */
static int push_detour(struct remote *r, long nr, const uint64_t args[6],
		       struct err *err)
{
	struct user_regs_struct regs;
	uint64_t at = r->stack - FRAME_SHORT;
	int e;

	if (at < r->buffer + FRAMES)
		return err_set(err, -ENOSPC, "too many detours");
	e = remote_admits(r, nr, args, true, err);
	if (e < 0)
		return e;
	remote_call_regs(r, &regs, nr, args);
	e = remote_put_frame(r, &regs, ALL_SIGNALS, at, r->buffer + AREA, err);
	if (e == 0)
		r->stack = at;
	return e;
}

/* Home again without detours, and off the buffer, which others write to. */
static int end_detours(struct remote *r, struct err *err)
{
	static const uint64_t none[6];

	r->stack = r->buffer + r->buffer_len;
	return remote_set_call(r, SYS_getpid, none, err);
}

static int page_on_detour(struct remote *r, uint64_t addr, remote_look_fn look,
			  void *arg, int64_t *ret_mapped, struct err *err)
{
	const uint64_t map[6] = { addr, PAGE, PROT_READ,
				  MAP_PRIVATE | MAP_ANONYMOUS |
					  MAP_FIXED_NOREPLACE,
				  UINT64_MAX };
	const uint64_t unmap[6] = { addr, PAGE };
	struct err ignored = { 0 };
	int64_t value;
	int e, e2;

	e = push_detour(r, SYS_munmap, unmap, err);
	e = e < 0 ? e : remote_syscall(r, SYS_mmap, map, ret_mapped, err);
	if (e < 0 || *ret_mapped < 0)
		return e;
	e = look(arg, err);
	/* The first failure is the one to be told. */
	e2 = remote_syscall(r, SYS_munmap, unmap, &value,
			    e < 0 ? &ignored : err);
	return e < 0 ? e : e2;
}

static const int page_limits[] = { RLIMIT_AS, RLIMIT_MEMLOCK };
#define PAGE_LIMITS (sizeof(page_limits) / sizeof(*page_limits))

/* Without CAP_SYS_RESOURCE only as far as the process itself may. */
static int lift_limit(struct remote *r, int which, uint64_t addr,
		      struct err *err)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	const uint64_t lifted = r->buffer + PAGE_LIMITS * sizeof(none);
	struct rlimit limit;
	int e;

	if (prlimit(r->pid, which, &none, NULL) == 0)
		return 0;
	e = remote_read(r, addr, &limit, sizeof(limit), err);
	limit.rlim_cur = limit.rlim_max;
	e = e < 0 ? e : remote_write(r, lifted, &limit, sizeof(limit), err);
	return e < 0 ? e
		     : remote_call(r, "prlimit64", NULL, err, SYS_prlimit64, 0,
				   (uint64_t)which, lifted, 0, 0, 0);
}

/*
 * By us, who know what it was: others of its user may write to its memory.
 * Without CAP_SYS_RESOURCE there is nothing to be had by that.
 */
static int take_back_limit(struct remote *r, size_t i,
			   const struct rlimit *before, struct err *err)
{
	const uint64_t at = r->buffer + i * sizeof(struct rlimit);

	if (before && prlimit(r->pid, page_limits[i], before, NULL) == 0)
		return 0;
	return remote_call(r, "prlimit64", NULL, err, SYS_prlimit64, 0,
			   (uint64_t)page_limits[i], at, 0, 0, 0);
}

/*
 * Without the limits that it has for memory.  On its way home the thread
 * sets them again by itself: lowering a limit needs no right.
 */
static int page_beyond_limits(struct remote *r, uint64_t addr,
			      remote_look_fn look, void *arg,
			      int64_t *ret_mapped, struct err *err)
{
	struct rlimit before[PAGE_LIMITS];
	bool ours[PAGE_LIMITS] = { false };
	struct err ignored = { 0 };
	size_t known = 0;
	int e = 0;

	for (size_t i = 0; i < PAGE_LIMITS && e == 0; i++) {
		uint64_t which = (uint64_t)page_limits[i];
		uint64_t at = r->buffer + i * sizeof(struct rlimit);
		const uint64_t set[6] = { 0, which, at };

		ours[i] =
			prlimit(r->pid, page_limits[i], NULL, &before[i]) == 0;
		e = remote_call(r, "prlimit64", NULL, err, SYS_prlimit64, 0,
				which, 0, at, 0, 0);
		e = e < 0 ? e : push_detour(r, SYS_prlimit64, set, err);
		known += e == 0;
	}
	/* Behind this call all of them are on its way home. */
	e = e < 0 ? e : remote_set_call(r, SYS_getpid, (uint64_t[6]){ 0 }, err);
	for (size_t i = 0; i < PAGE_LIMITS && e == 0; i++)
		e = lift_limit(r, page_limits[i],
			       r->buffer + i * sizeof(struct rlimit), err);
	e = e < 0 ? e : page_on_detour(r, addr, look, arg, ret_mapped, err);
	for (size_t i = 0; i < known; i++) {
		int e2 = take_back_limit(r, i, ours[i] ? &before[i] : NULL,
					 e < 0 ? &ignored : err);

		e = e < 0 ? e : e2;
	}
	return e;
}

int remote_passing_page(struct remote *r, uint64_t addr, remote_look_fn look,
			void *arg, int64_t *ret_mapped, struct err *err)
{
	struct err ignored = { 0 };
	int e, e2;

	if (!r->t || r->puppet)
		return err_set(err, -EINVAL, "page: not in a job's thread");
	e = begin_detours(r, err);
	if (e < 0)
		return e;
	e = page_on_detour(r, addr, look, arg, ret_mapped, err);
	e2 = end_detours(r, e < 0 ? &ignored : err);
	if (e == 0 && e2 == 0 &&
	    (*ret_mapped == -ENOMEM || *ret_mapped == -EAGAIN)) {
		e = page_beyond_limits(r, addr, look, arg, ret_mapped, err);
		e2 = end_detours(r, e < 0 ? &ignored : err);
	}
	return e < 0 ? e : e2;
}

static int fd_on_detour(struct remote *r, const struct remote_args *call,
			int number, remote_look_fn look, void *arg,
			int64_t *ret_value, struct err *err)
{
	const uint64_t close[6] = { (uint64_t)number };
	struct err ignored = { 0 };
	int64_t value;
	int e, e2;

	e = push_detour(r, SYS_close, close, err);
	e = e < 0 ? e : remote_syscall(r, call->nr, call->args, ret_value, err);
	if (e < 0 || *ret_value < 0)
		return e;
	e = *ret_value == number
		    ? look(arg, err)
		    : err_set(err, -EBUSY, "descriptor %lld, not %d",
			      (long long)*ret_value, number);
	/* The first failure is the one to be told. */
	e2 = remote_syscall(r, SYS_close, (uint64_t[6]){ (uint64_t)*ret_value },
			    &value, e < 0 ? &ignored : err);
	return e < 0 ? e : e2;
}

int remote_passing_fd(struct remote *r, const struct remote_args *call,
		      int number, remote_look_fn look, void *arg,
		      int64_t *ret_value, struct err *err)
{
	struct err ignored = { 0 };
	int e, e2;

	if (!r->t || r->puppet)
		return err_set(err, -EINVAL,
			       "descriptor: not in a job's thread");
	e = begin_detours(r, err);
	if (e < 0)
		return e;
	e = fd_on_detour(r, call, number, look, arg, ret_value, err);
	e2 = end_detours(r, e < 0 ? &ignored : err);
	return e < 0 ? e : e2;
}

/*
 * One that goes home by itself because we are late must be under its filters
 * then.  So they are asked, and all that it calls has to come through.
 */
static bool passes_filters(const struct remote *r,
			   const struct remote_args *calls, size_t n)
{
	static const struct remote_ask ours[] = {
		{ "getpid", SYS_getpid, .must = true },
		{ "nanosleep", SYS_nanosleep, .must = true },
		{ "getcpu", SYS_getcpu, .must = true },
	};
	struct err ignored;

	for (size_t i = 0; i < n; i++)
		if (remote_admits(r, calls[i].nr, calls[i].args, true,
				  &ignored) < 0)
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (passage_admits(&r->passage, &ours[i], &ignored) < 0)
			return false;
	return true;
}

/* The thread's own state is kept apart from what the chain does to it. */
static bool can_chain(const struct remote *r, const struct remote_args *calls,
		      size_t n)
{
	/* A sleep's deadline is lost at every return from a signal. */
	return !r->puppet && !syscall_sleeps_on(&r->saved) &&
	       passes_filters(r, calls, n);
}

static int draw_chain(struct remote *r, const struct remote_args *calls,
		      size_t n, struct err *err)
{
	const uint64_t nap[6] = { r->buffer + NAP };
	const uint64_t mark[6] = { r->buffer + MARK };
	const struct {
		struct timespec nap;
		uint64_t mark;
	} end = { { .tv_sec = NAP_SECONDS }, UINT64_MAX };
	int e;

	e = begin_detours(r, err);
	e = e < 0 ? e : remote_lay(r, r->buffer + NAP, &end, sizeof(end), err);
	e = e < 0 ? e : push_detour(r, SYS_nanosleep, nap, err);
	e = e < 0 ? e : push_detour(r, SYS_getcpu, mark, err);
	while (e == 0 && n--)
		e = push_detour(r, calls[n].nr, calls[n].args, err);
	return e;
}

/* Frame by frame here, and then into the thread at once. */
static int lay_chain(struct remote *r, const struct remote_args *calls,
		     size_t n, struct err *err)
{
	auto_free uint8_t *sketch = calloc(1, r->buffer_len);
	static const uint64_t none[6];
	int e;

	if (!sketch)
		return err_num(err, ENOMEM, "remote calls");
	r->sketch = sketch;
	e = draw_chain(r, calls, n, err);
	r->sketch = NULL;
	e = e < 0 ? e
		  : remote_write(r, r->buffer + AREA, sketch + AREA,
				 r->buffer_len - AREA, err);
	return e < 0 ? e : remote_set_call(r, SYS_getpid, none, err);
}

/*
 * One that we came too late for has gone home and on from there: what is of
 * ours below its stack stays, for it may be in use again, and an EINTR that
 * our stop has caused now is mended.
 */
static int let_go(struct remote *r, struct user_regs_struct *regs,
		  struct err *err)
{
	struct user_regs_struct mended = *regs;
	struct tracee *t = r->t;
	int e = 0;

	r->stuck = true;
	r->t = NULL;
	t->away = false;
	syscall_mend(&mended);
	if (mended.rax != regs->rax)
		e = tracee_set_regs(t, &mended, err);
	return e < 0 ? e
		     : err_set(err, -EBUSY,
			       "thread %d: jobcr was held up, it has gone on",
			       (int)t->tid);
}

static int catch_again(struct remote *r, struct err *err)
{
	struct user_regs_struct regs;
	int e = tracee_interrupt(r->t, err);

	e = e < 0 ? e
		  : tracee_wait_stop(r->t, clock_monotonic_ns() + PATIENCE_NS,
				     err);
	e = e < 0 ? e : tracee_get_regs(r->t, &regs, err);
	if (e < 0)
		return e;
	/* Behind the nap it pops one word before it is at its own frame. */
	if (regs.rsp >= r->buffer &&
	    regs.rsp <= r->buffer + r->buffer_len + sizeof(uint64_t) &&
	    place_is_returning(r->pid, &regs))
		return 0;
	return let_go(r, &regs, err);
}

static int run_chain(struct remote *r, const struct remote_args *calls,
		     size_t n, struct err *err)
{
	struct err ignored = { 0 };
	int e, e2;

	e = lay_chain(r, calls, n, err);
	e = e < 0 ? e : remote_suspend_filters(r, false, err);
	e = e < 0 ? e : tracee_continue(r->t, err);
	if (e == 0) {
		e = await_word(r, r->buffer + MARK, UINT64_MAX, PATIENCE_NS,
			       err);
		if (r->t->death >= 0)
			return e;
		e2 = catch_again(r, e < 0 ? &ignored : err);
		e = e < 0 ? e : e2;
	}
	if (!r->t)
		return e;
	e2 = remote_suspend_filters(r, true, e < 0 ? &ignored : err);
	e = e < 0 ? e : e2;
	e2 = end_detours(r, e < 0 ? &ignored : err);
	return e < 0 ? e : e2;
}

static int one_by_one(struct remote *r, const struct remote_args *calls,
		      size_t n, struct err *err)
{
	int64_t value;
	int e = 0;

	for (size_t i = 0; i < n && e == 0; i++)
		e = remote_syscall(r, calls[i].nr, calls[i].args, &value, err);
	return e;
}

/*
 * The frames have left their own.  Where that fails the thread is left on its
 * frame, which has the true ones.
 */
static int give_vectors_back(struct remote *r, const uint8_t *xstate,
			     size_t len, int result, struct err *err)
{
	struct err ignored = { 0 };
	int e;

	if (r->t->death >= 0)
		return result;
	e = tracee_set_xstate(r->t, xstate, len, result < 0 ? &ignored : err);
	if (e < 0) {
		r->stuck = true;
		r->t = NULL;
	}
	return result < 0 ? result : e;
}

int remote_batch(struct remote *r, const struct remote_args *calls, size_t n,
		 struct err *err)
{
	auto_free uint8_t *xstate = NULL;
	size_t len = 0, some;
	int e;

	if (!r->t)
		return err_set(err, -EINVAL, "remote call outside of a thread");
	if (!can_chain(r, calls, n))
		return one_by_one(r, calls, n, err);
	xstate = malloc(XSTATE_MAX);
	if (!xstate)
		return err_num(err, ENOMEM, "remote calls");
	e = tracee_get_xstate(r->t, xstate, XSTATE_MAX, &len, err);
	/* Not every kernel takes tiles back. */
	if (e == 0 && frame_has_tiles(xstate, len))
		return one_by_one(r, calls, n, err);
	for (; n && e == 0; n -= some, calls += some) {
		some = n < CHAIN_MAX ? n : CHAIN_MAX;
		e = run_chain(r, calls, some, err);
	}
	return r->t && len ? give_vectors_back(r, xstate, len, e, err) : e;
}
