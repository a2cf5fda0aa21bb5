/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_TRACEE_H
#define JOBCR_INJECT_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "util/err.h"

/*
 * Syscall user dispatch: calls from outside of [offset, offset + len), which
 * may wrap around, raise SIGSYS unless the byte at selector lets them.
 */
struct dispatch {
	bool on;
	uint64_t offset, len, selector; /* selector 0: none */
};

/*
 * One thread under ptrace.  All calls for one tree must come from one OS
 * thread.  When the tracer dies, a thread of a job goes on as it was; one
 * that is being built (puppet) is killed.
 */
struct tracee {
	pid_t tid;
	bool stopped;
	bool exit_kill;
	int stop_signal; /* group stop: the job was stopped by this signal */
	bool away; /* in remote calls: let go, it comes home by its frame */
	int handler_pending; /* the signal whose handler is about to run, or 0
			      */
	int death;           /* wait status once it died, else -1 */
	struct dispatch dispatch; /* for kernels whose ptrace does not tell */
};

/* Seize without stopping.  puppet: it dies with the tracer. */
int tracee_seize(struct tracee *t, pid_t tid, bool puppet, struct err *err);

/* Ask for a stop; tracee_wait_stop collects it (deadline: monotonic ns). */
int tracee_interrupt(struct tracee *t, struct err *err);
int tracee_wait_stop(struct tracee *t, uint64_t deadline, struct err *err);

/* Run on from a stop; tracee_wait_stop collects the next one. */
int tracee_continue(struct tracee *t, struct err *err);

/*
 * After a stop in remote calls that is neither the edge of one nor a birth:
 * *ret_signal is what the thread goes on with.  -ESRCH: it has died.
 */
int tracee_pass_stop(struct tracee *t, int status, int *ret_signal,
		     struct err *err);

/* Let go.  A group stop that was there stays. */
int tracee_detach(struct tracee *t, struct err *err);

int tracee_get_regs(struct tracee *t, struct user_regs_struct *ret,
		    struct err *err);
int tracee_set_regs(struct tracee *t, const struct user_regs_struct *regs,
		    struct err *err);
int tracee_get_sigmask(struct tracee *t, uint64_t *ret, struct err *err);
int tracee_set_sigmask(struct tracee *t, uint64_t mask, struct err *err);

/* XSAVE area, standard format, as large as the kernel gives it. */
#define XSTATE_MAX 16384
int tracee_get_xstate(struct tracee *t, uint8_t *buf, size_t room,
		      size_t *ret_len, struct err *err);
int tracee_set_xstate(struct tracee *t, const uint8_t *buf, size_t len,
		      struct err *err);

/* Pending signals; siginfos of 128 bytes, owned by the caller. */
int tracee_peek_signals(struct tracee *t, bool shared, uint8_t **ret,
			size_t *ret_count, struct err *err);

struct rseq_config {
	uint64_t address;
	uint32_t size, signature, flags;
};
int tracee_get_rseq(struct tracee *t, struct rseq_config *ret, struct err *err);

/*
 * No filter of system calls is asked while a thread has this, but when the
 * tracer dies all are again.  What is born of it has it, too.  -EPERM: this
 * process is under a filter itself.
 */
int tracee_suspend_filters(struct tracee *t, bool suspend, struct err *err);

/* Of a stopped thread.  Before Linux 6.4 it is what the tracee says. */
int tracee_get_dispatch(struct tracee *t, struct dispatch *ret,
			struct err *err);

/* -EIO: the kernel is older, and the thread has to do it by prctl(2). */
int tracee_set_dispatch(struct tracee *t, const struct dispatch *d,
			struct err *err);

/* The arguments of PR_SET_SYSCALL_USER_DISPATCH that follow. */
void dispatch_arguments(const struct dispatch *d, uint64_t ret[4]);

/* Never raises it for a call whose instruction ends at ip. */
static inline bool dispatch_passes(const struct dispatch *d, uint64_t ip)
{
	return !d->on || ip - d->offset < d->len;
}

/*
 * restart_syscall hides which call is being continued (a thread that was
 * stopped twice): name it again in regs, where that can be found out.
 */
void syscall_identify(struct tracee *t, struct user_regs_struct *regs);

/*
 * What a stopped thread shows of its call (see CONTRIBUTING.md, "Interrupted
 * system calls"); these change only *regs.
 *
 * interrupted: the kernel is going to make it again, or to fail it with EINTR
 * if a handler runs, when the thread leaves its stop.  mend: an EINTR that
 * only our stop has caused becomes such a call.  sleeps_on: one that goes on
 * by restart_syscall.
 */
bool syscall_interrupted(const struct user_regs_struct *regs);
bool syscall_sleeps_on(const struct user_regs_struct *regs);
void syscall_mend(struct user_regs_struct *regs);

/* The call is made again, whatever happens. */
void syscall_again(struct user_regs_struct *regs);

/* The call has returned this. */
void syscall_returns(struct user_regs_struct *regs, long result);

/*
 * For a thread that has no such stop to leave, or no restart block: an
 * interrupted call is made again.  With a handler pending a code stays, for
 * the kernel to look at when it delivers the signal.
 */
void syscall_rewind(struct user_regs_struct *regs, bool handler_pending);

#endif
