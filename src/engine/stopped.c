/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/stopped.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "inject/filters.h"
#include "inject/place.h"
#include "kernel/maps.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A thread that does nothing but read clocks is inside nine times of ten. */
#define RUN_TRIES 200

static uint64_t signal_bits(const uint8_t *siginfo, size_t count)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < count; i++) {
		int32_t sig;

		memcpy(&sig, siginfo + i * 128, sizeof(sig));
		if (sig >= 1 && sig <= 64)
			bits |= 1ull << (sig - 1);
	}
	return bits;
}

/*
 * The signal whose handler is going to run first on the way out, or 0.  The
 * kernel takes the thread's own before those of the process, low numbers
 * first.
 */
static int read_pending(struct frozen_task *task, struct frozen_thread *th,
			int *ret, struct err *err)
{
	auto_free uint8_t *own = NULL, *shared = NULL;
	size_t nown = 0, nshared = 0;
	struct proc_status status;
	uint64_t first, later, mask;
	int r;

	r = tracee_peek_signals(&th->tracee, false, &own, &nown, err);
	if (r == 0)
		r = tracee_peek_signals(&th->tracee, true, &shared, &nshared,
					err);
	if (r == 0)
		r = tracee_get_sigmask(&th->tracee, &mask, err);
	if (r < 0)
		return r;
	first = signal_bits(own, nown) & ~mask;
	later = signal_bits(shared, nshared) & ~mask;
	*ret = 0;
	if (!(first | later))
		return 0;
	r = proc_read_status(task->proc_fd, &status, err);
	if (r < 0)
		return r;
	first &= status.sig_caught;
	later &= status.sig_caught;
	*ret = __builtin_ffsll((long long)(first ? first : later));
	proc_status_done(&status);
	return 0;
}

static bool sets_mask(long nr)
{
	switch (nr) {
	case SYS_rt_sigsuspend:
	case SYS_ppoll:
	case SYS_pselect6:
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_io_pgetevents:
		return true;
	default:
		return false;
	}
}

/*
 * Calls that set a mask for their duration.  Stopped inside, the thread still
 * has that mask, and our calls would make it lose its own.  With its own back
 * at once, what only the call lets in waits until it is made again, and ends
 * it then.  What only the call keeps out must not end it: such a call is made
 * again whatever comes, after the handler.
 */
static int read_masks(struct frozen_thread *th, uint64_t *ret_own,
		      uint64_t *ret_inside, struct err *err)
{
	struct proc_status status;
	int r;

	r = tracee_get_sigmask(&th->tracee, ret_own, err);
	r = r < 0 ? r : proc_read_status(th->proc_fd, &status, err);
	if (r < 0)
		return r;
	*ret_inside = status.sig_blocked;
	proc_status_done(&status);
	return 0;
}

/*
 * The kernel goes on with a sleep by a call of another number, and a filter
 * may kill a thread that seems to make it.  Then the sleep is begun again.
 */
static void keep_from_filters(struct frozen_thread *th,
			      struct user_regs_struct *regs)
{
	struct filters filters = { 0 };
	struct err ignored;

	if (!syscall_sleeps_on(regs) ||
	    filters_read(&th->tracee, &filters, &ignored) < 0)
		return;
	if (!filters_let_restart(&filters)) {
		syscall_identify(&th->tracee, regs);
		syscall_rewind(regs, false);
	}
	filters_done(&filters);
}

/*
 * An EINTR that our stop has caused is taken back.  The kernel decides on the
 * way out, also if we die before: a handler that runs in this thread ends the
 * call, anything else does not.
 */
static int settle_call(struct frozen_thread *th, struct user_regs_struct *regs,
		       struct err *err)
{
	struct user_regs_struct mended = *regs;
	uint64_t own = 0, inside = 0;
	int r = 0;

	/* In a stop of its own the program would see EINTR without us, too. */
	if (th->tracee.stop_signal)
		return 0;
	syscall_mend(&mended);
	if (!syscall_interrupted(&mended))
		return 0;
	keep_from_filters(th, &mended);
	if (sets_mask((long)regs->orig_rax))
		r = read_masks(th, &own, &inside, err);
	if (r == 0 && (inside & ~own))
		syscall_again(&mended);
	if (r == 0 && (mended.rax != regs->rax || mended.rip != regs->rip))
		r = tracee_set_regs(&th->tracee, &mended, err);
	if (r == 0 && inside != own)
		r = tracee_set_sigmask(&th->tracee, own, err);
	if (r == 0)
		*regs = mended;
	return r;
}

struct rseq_section {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

static int read_memory(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec here = { buf, len };
	struct iovec there = { (void *)(uintptr_t)addr, len };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

/*
 * The kernel would abort a critical section on the way back to the program,
 * but the first injected call makes it forget that there was one.
 */
static int settle_rseq(struct frozen_task *task, struct frozen_thread *th,
		       struct user_regs_struct *regs, struct err *err)
{
	const uint64_t section_offset = 8;
	struct rseq_section s;
	uint64_t at = 0;
	int r;

	r = tracee_get_rseq(&th->tracee, &th->rseq, err);
	if (r < 0)
		return r;
	if (!th->rseq.address ||
	    read_memory(task->pid, th->rseq.address + section_offset, &at,
			sizeof(at)) < 0 ||
	    !at || read_memory(task->pid, at, &s, sizeof(s)) < 0 ||
	    regs->rip - s.start >= s.length)
		return 0;
	regs->rip = s.abort;
	return tracee_set_regs(&th->tracee, regs, err);
}

/* The job's may be anywhere: a program or a restore may have moved it. */
static bool in_vdso(const struct frozen_task *task, uint64_t rip)
{
	struct err gone;
	char name[16];

	return maps_name_at(task->proc_fd, rip, name, sizeof(name), &gone) ==
		       0 &&
	       strcmp(name, "[vdso]") == 0;
}

/*
 * In the jump of an image that leads there (engine/vdso.c): on that kernel
 * which the image is from, its code is to be there again.
 */
static bool enters_vdso(const struct frozen_task *task,
			const struct user_regs_struct *regs)
{
	static const uint8_t jump[] = { 0xff, 0xe0 }; /* jmp *%rax */
	uint8_t code[sizeof(jump)];

	return read_memory(task->pid, regs->rip, code, sizeof(code)) == 0 &&
	       memcmp(code, jump, sizeof(jump)) == 0 &&
	       in_vdso(task, regs->rax);
}

static int run_on(struct frozen_thread *th, struct user_regs_struct *regs,
		  int try, uint64_t deadline, struct err *err)
{
	int r;

	r = tracee_continue(&th->tracee, err);
	if (r < 0)
		return r;
	/*
	 * Asked too early it would stop before it has run at all, and on a
	 * busy node it has to wait for its turn.
	 */
	if (try < RUN_TRIES / 10)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = try * 10000 }, NULL);
	r = tracee_interrupt(&th->tracee, err);
	r = r < 0 ? r : tracee_wait_stop(&th->tracee, deadline, err);
	return r < 0 ? r : tracee_get_regs(&th->tracee, regs, err);
}

/*
 * Run a thread that is in the vDSO until it is met elsewhere; a few cannot
 * be, and stay.  Not by single steps: should we die between two, the thread
 * would be killed by a trap.
 */
static int leave_vdso(const struct frozen_task *task, struct frozen_thread *th,
		      struct user_regs_struct *regs, uint64_t deadline,
		      uint64_t leave_by, struct err *err)
{
	int r = 0;

	for (int i = 0; i < RUN_TRIES && r == 0; i++) {
		if (th->tracee.stop_signal ||
		    !(in_vdso(task, regs->rip) || enters_vdso(task, regs)))
			return 0;
		if (clock_monotonic_ns() >= leave_by)
			return 0;
		r = run_on(th, regs, i, deadline, err);
	}
	return r;
}

/* At the end of its calls it waits for the one that has died: no more. */
static int end_nap(struct frozen_thread *th, struct user_regs_struct *regs,
		   struct err *err)
{
	if (!syscall_interrupted(regs) ||
	    ((long)regs->orig_rax != SYS_nanosleep &&
	     (long)regs->orig_rax != SYS_restart_syscall))
		return 0;
	syscall_returns(regs, 0);
	return tracee_set_regs(&th->tracee, regs, err);
}

/* A worker died in the middle of its calls, and the next one is here. */
static int come_home(struct frozen_task *task, struct frozen_thread *th,
		     struct user_regs_struct *regs, uint64_t deadline,
		     struct err *err)
{
	int r = 0;

	for (int i = 0; i < RUN_TRIES && r == 0; i++) {
		if (!place_is_returning(task->pid, regs))
			return 0;
		if (th->tracee.stop_signal)
			return err_set(err, -EAGAIN,
				       "thread %d was stopped while a "
				       "checkpoint that was killed was at it: "
				       "let it continue first (SIGCONT)",
				       (int)th->tracee.tid);
		r = end_nap(th, regs, err);
		r = r < 0 ? r : run_on(th, regs, i, deadline, err);
	}
	return r < 0 ? r
		     : err_set(err, -EAGAIN,
			       "thread %d does not come back from a checkpoint "
			       "that was killed: try again",
			       (int)th->tracee.tid);
}

int stopped_settle(struct frozen_task *task, struct frozen_thread *th,
		   uint64_t deadline, uint64_t leave_by, struct err *err)
{
	struct user_regs_struct regs;
	int r;

	r = tracee_get_regs(&th->tracee, &regs, err);
	/* An EINTR must not wait: if we die it is seen. */
	r = r < 0 ? r : settle_call(th, &regs, err);
	r = r < 0 ? r : come_home(task, th, &regs, deadline, err);
	r = r < 0 ? r : leave_vdso(task, th, &regs, deadline, leave_by, err);
	r = r < 0 ? r : settle_call(th, &regs, err);
	return r < 0 ? r : settle_rseq(task, th, &regs, err);
}

int stopped_mend(struct frozen_thread *th, struct err *err)
{
	struct user_regs_struct regs;
	int r = tracee_get_regs(&th->tracee, &regs, err);

	return r < 0 ? r : settle_call(th, &regs, err);
}

int stopped_take(struct frozen_task *task, struct frozen_thread *th,
		 struct err *err)
{
	int r;

	r = tracee_get_regs(&th->tracee, &th->regs_resume, err);
	r = r < 0 ? r : tracee_get_sigmask(&th->tracee, &th->sigmask, err);
	r = r < 0 ? r
		  : tracee_peek_signals(&th->tracee, false, &th->siginfo,
					&th->nsiginfo, err);
	th->regs_image = th->regs_resume;
	/* In a stop of its own it was left as it is. */
	if (r == 0)
		syscall_mend(&th->regs_image);
	th->tracee.handler_pending = 0;
	if (r == 0 && syscall_interrupted(&th->regs_image))
		r = read_pending(task, th, &th->tracee.handler_pending, err);
	if (r < 0)
		return r;
	syscall_identify(&th->tracee, &th->regs_image);
	syscall_rewind(&th->regs_image, th->tracee.handler_pending);
	return 0;
}
