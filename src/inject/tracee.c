/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inject/tracee.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "util/clock.h"

/* Newer than the headers of the distributions that jobcr builds on. */
#define GET_RSEQ_CONFIGURATION 0x420f /* Linux 5.13 */
#define SET_DISPATCH           0x4210 /* Linux 6.4 */
#define GET_DISPATCH           0x4211
#define DISPATCH_ON            1
#define DISPATCH_INCLUSIVE     2 /* Linux 6.17 */
struct rseq_answer {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

struct dispatch_config { /* struct ptrace_sud_config */
	uint64_t mode, selector, offset, len;
};

#define SUSPEND_SECCOMP (1ul << 21)
#define SIGINFO_BYTES   128
#define PEEK_BATCH      32

/* What a puppet gives birth to is traced, and dies with us, too. */
static unsigned long options_of(bool puppet)
{
	return PTRACE_O_TRACESYSGOOD |
	       (puppet ? PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
				 PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK
		       : 0);
}

int tracee_seize(struct tracee *t, pid_t tid, bool puppet, struct err *err)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, options_of(puppet)) < 0)
		return err_sys(err, "thread %d: seize", (int)tid);
	*t = (struct tracee){ .tid = tid, .exit_kill = puppet, .death = -1 };
	return 0;
}

int tracee_interrupt(struct tracee *t, struct err *err)
{
	if (ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) < 0)
		return err_sys(err, "thread %d: interrupt", (int)t->tid);
	return 0;
}

/*
 * A stop of another kind than the one asked for is a signal on its way to
 * the thread: hand it on, and ask again, because any stop at all takes back
 * the request for one.  The thread then stops before its handler's first
 * instruction.
 */
static int take_status(struct tracee *t, int status, bool *ret_done)
{
	int sig = WSTOPSIG(status);

	*ret_done = true;
	if (!WIFSTOPPED(status)) {
		t->death = status;
		t->stopped = false;
		return -ESRCH;
	}
	if (status >> 16 == PTRACE_EVENT_STOP) {
		t->stopped = true;
		t->stop_signal = sig == SIGTRAP ? 0 : sig;
		return 0;
	}
	*ret_done = false;
	if (status >> 16 || sig == (SIGTRAP | 0x80))
		sig = 0;
	if (ptrace(PTRACE_CONT, t->tid, NULL, sig) < 0 && errno != ESRCH)
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL) < 0 && errno != ESRCH)
		return -errno;
	return 0;
}

int tracee_wait_stop(struct tracee *t, uint64_t deadline, struct err *err)
{
	unsigned int idle = 0;

	for (;;) {
		int status, r;
		bool done;
		pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);

		if (got < 0 && errno != EINTR)
			return err_sys(err, "thread %d: wait", (int)t->tid);
		if (got > 0) {
			r = take_status(t, status, &done);
			if (r == -ESRCH)
				return err_set(err, r, "thread %d: it died",
					       (int)t->tid);
			if (r < 0)
				return err_num(err, r, "thread %d: continue",
					       (int)t->tid);
			if (done)
				return 0;
			continue;
		}
		if (clock_monotonic_ns() >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "thread %d does not stop", (int)t->tid);
		/* Usually it stops at once: sleep only when it does not. */
		if (++idle < 200)
			sched_yield();
		else
			nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
	}
}

int tracee_pass_stop(struct tracee *t, int status, int *ret_signal,
		     struct err *err)
{
	int sig = WSTOPSIG(status);

	*ret_signal = 0;
	if (!WIFSTOPPED(status)) {
		t->death = status;
		t->stopped = false;
		return err_set(err, -ESRCH, "thread %d: it died", (int)t->tid);
	}
	/* The job was stopped or continued from outside. */
	if (status >> 16 == PTRACE_EVENT_STOP) {
		if (sig != SIGTRAP)
			t->stop_signal = sig;
		return 0;
	}
	/* What cannot be blocked: SIGSTOP, or a fault of ours. */
	if (sig != SIGSTOP)
		return err_set(err, -EFAULT,
			       "thread %d: signal %d in a remote call",
			       (int)t->tid, sig);
	*ret_signal = sig;
	return 0;
}

int tracee_continue(struct tracee *t, struct err *err)
{
	if (ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
		return err_sys(err, "thread %d: continue", (int)t->tid);
	t->stopped = false;
	return 0;
}

int tracee_detach(struct tracee *t, struct err *err)
{
	if (t->death >= 0)
		return 0;
	if (ptrace(PTRACE_DETACH, t->tid, NULL, NULL) < 0)
		return err_sys(err, "thread %d: detach", (int)t->tid);
	t->stopped = false;
	return 0;
}

int tracee_get_regs(struct tracee *t, struct user_regs_struct *ret,
		    struct err *err)
{
	struct user_regs_struct regs;
	struct iovec io = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &io) < 0)
		return err_sys(err, "thread %d: get registers", (int)t->tid);
	/* A 32-bit program gives a shorter set. */
	if (io.iov_len != sizeof(regs))
		return err_set(err, -ENOTSUP, "thread %d runs 32-bit code",
			       (int)t->tid);
	*ret = regs;
	return 0;
}

int tracee_set_regs(struct tracee *t, const struct user_regs_struct *regs,
		    struct err *err)
{
	struct iovec io = { (void *)regs, sizeof(*regs) };

	if (ptrace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &io) < 0)
		return err_sys(err, "thread %d: set registers", (int)t->tid);
	return 0;
}

int tracee_get_sigmask(struct tracee *t, uint64_t *ret, struct err *err)
{
	uint64_t mask;

	if (ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(mask), &mask) < 0)
		return err_sys(err, "thread %d: get signal mask", (int)t->tid);
	*ret = mask;
	return 0;
}

int tracee_set_sigmask(struct tracee *t, uint64_t mask, struct err *err)
{
	if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(mask), &mask) < 0)
		return err_sys(err, "thread %d: set signal mask", (int)t->tid);
	return 0;
}

int tracee_get_xstate(struct tracee *t, uint8_t *buf, size_t room,
		      size_t *ret_len, struct err *err)
{
	struct iovec io = { buf, room };

	if (ptrace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &io) < 0)
		return err_sys(err, "thread %d: get extended state",
			       (int)t->tid);
	/* A full buffer may be a cut one. */
	if (io.iov_len >= room)
		return err_set(err, -ENOTSUP,
			       "thread %d: extended state of %zu bytes or more",
			       (int)t->tid, room);
	*ret_len = io.iov_len;
	return 0;
}

int tracee_set_xstate(struct tracee *t, const uint8_t *buf, size_t len,
		      struct err *err)
{
	struct iovec io = { (void *)buf, len };

	if (ptrace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &io) < 0)
		return err_sys(err, "thread %d: set extended state",
			       (int)t->tid);
	return 0;
}

int tracee_peek_signals(struct tracee *t, bool shared, uint8_t **ret,
			size_t *ret_count, struct err *err)
{
	struct __ptrace_peeksiginfo_args args = {
		.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0,
		.nr = PEEK_BATCH,
	};
	uint8_t *list = NULL;
	size_t count = 0;

	for (;;) {
		uint8_t *more =
			reallocarray(list, count + PEEK_BATCH, SIGINFO_BYTES);
		long n;

		if (!more) {
			free(list);
			return err_num(err, ENOMEM, "thread %d: signals",
				       (int)t->tid);
		}
		list = more;
		args.off = count;
		n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &args,
			   list + count * SIGINFO_BYTES);
		if (n < 0) {
			free(list);
			return err_sys(err, "thread %d: peek at signals",
				       (int)t->tid);
		}
		if (n == 0)
			break;
		count += (size_t)n;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

int tracee_get_rseq(struct tracee *t, struct rseq_config *ret, struct err *err)
{
	struct rseq_answer a = { 0 };
	long n = ptrace((enum __ptrace_request)GET_RSEQ_CONFIGURATION, t->tid,
			sizeof(a), &a);

	if (n < 0)
		return err_sys(err, "thread %d: get rseq registration",
			       (int)t->tid);
	*ret = (struct rseq_config){ .address = a.pointer,
				     .size = a.size,
				     .signature = a.signature,
				     .flags = a.flags };
	return 0;
}

int tracee_suspend_filters(struct tracee *t, bool suspend, struct err *err)
{
	unsigned long options = options_of(t->exit_kill);

	if (suspend)
		options |= SUSPEND_SECCOMP;
	if (ptrace(PTRACE_SETOPTIONS, t->tid, NULL, options) < 0)
		return err_sys(err, "thread %d: suspend seccomp", (int)t->tid);
	return 0;
}

int tracee_get_dispatch(struct tracee *t, struct dispatch *ret, struct err *err)
{
	struct dispatch_config c = { 0 };

	if (ptrace((enum __ptrace_request)GET_DISPATCH, t->tid, sizeof(c), &c) <
	    0) {
		if (errno != EIO && errno != EINVAL)
			return err_sys(err, "thread %d: get user dispatch",
				       (int)t->tid);
		*ret = t->dispatch;
		return 0;
	}
	*ret = (struct dispatch){ .on = c.mode != 0,
				  .offset = c.offset,
				  .len = c.len,
				  .selector = c.selector };
	return 0;
}

/*
 * One that dispatches a range, not all but a range, is kept by the kernel as
 * what remains, and taken only as it was given.
 */
void dispatch_arguments(const struct dispatch *d, uint64_t ret[4])
{
	bool inclusive = d->offset && d->offset + d->len <= d->offset;

	ret[0] = inclusive ? DISPATCH_INCLUSIVE : DISPATCH_ON;
	ret[1] = inclusive ? d->offset + d->len : d->offset;
	ret[2] = inclusive ? -d->len : d->len;
	ret[3] = d->selector;
}

int tracee_set_dispatch(struct tracee *t, const struct dispatch *d,
			struct err *err)
{
	struct dispatch_config c;
	uint64_t a[4];

	dispatch_arguments(d, a);
	c = (struct dispatch_config){
		.mode = a[0], .offset = a[1], .len = a[2], .selector = a[3]
	};
	if (ptrace((enum __ptrace_request)SET_DISPATCH, t->tid, sizeof(c), &c) <
	    0)
		return err_sys(err, "thread %d: set user dispatch",
			       (int)t->tid);
	return 0;
}
