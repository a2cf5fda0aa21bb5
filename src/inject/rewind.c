/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls that the stop of a thread interrupted.  What a thread shows
 * then, and why each is treated as it is, is told in CONTRIBUTING.md,
 * "Interrupted system calls".
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "inject/tracee.h"

/* The kernel's own codes; programs never see them. */
#define RESTARTSYS           512
#define RESTARTNOINTR        513
#define RESTARTNOHAND        514
#define RESTART_RESTARTBLOCK 516

/*
 * Calls that fail with EINTR when a thread is merely stopped (semop and its
 * kin always, sockets when they have a timeout, files when a FUSE server
 * gives up, fallocate in tmpfs before Linux 6.11), and in which EINTR means
 * that nothing was done.  close() is not among them: it has closed.
 */
static bool eintr_leaks(long nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_rt_sigtimedwait:
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_read:
	case SYS_readv:
	case SYS_pread64:
	case SYS_preadv:
	case SYS_preadv2:
	case SYS_write:
	case SYS_writev:
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_open:
	case SYS_openat:
	case SYS_fcntl:
	case SYS_flock:
	case SYS_fallocate:
		return true;
	default:
		return false;
	}
}

void syscall_again(struct user_regs_struct *regs)
{
	regs->rax = regs->orig_rax;
	regs->rip -= 2;
	/* Not a system call any more: no restart processing on the way out. */
	regs->orig_rax = (unsigned long long)-1;
}

void syscall_returns(struct user_regs_struct *regs, long result)
{
	regs->rax = (unsigned long long)result;
	regs->orig_rax = (unsigned long long)-1;
}

/*
 * The kernel kept the deadline in a restart block, which no other thread can
 * be given.  A sleep has left its remainder where the program asked for it:
 * sleeping that long is exact.  poll and futex begin their timeout again
 * (futex with an absolute one is exact).
 */
static void make_rest_again(struct user_regs_struct *regs)
{
	switch ((long)regs->orig_rax) {
	case SYS_nanosleep:
		if (regs->rsi)
			regs->rdi = regs->rsi;
		break;
	case SYS_clock_nanosleep:
		if (regs->r10)
			regs->rdx = regs->r10;
		break;
	case SYS_poll:
	case SYS_futex:
		break;
	default:
		/* Unknown what it was: a wait may always end with EINTR. */
		syscall_returns(regs, -EINTR);
		return;
	}
	syscall_again(regs);
}

void syscall_mend(struct user_regs_struct *regs)
{
	if ((long)regs->orig_rax >= 0 && (long)regs->rax == -EINTR &&
	    eintr_leaks((long)regs->orig_rax))
		regs->rax = (unsigned long long)-RESTARTNOHAND;
}

bool syscall_interrupted(const struct user_regs_struct *regs)
{
	long code = -(long)regs->rax;

	return (long)regs->orig_rax >= 0 && code >= RESTARTSYS &&
	       code <= RESTART_RESTARTBLOCK;
}

bool syscall_sleeps_on(const struct user_regs_struct *regs)
{
	return syscall_interrupted(regs) &&
	       (long)regs->rax == -RESTART_RESTARTBLOCK;
}

void syscall_rewind(struct user_regs_struct *regs, bool handler_pending)
{
	struct user_regs_struct again = *regs;

	if (!syscall_interrupted(regs))
		return;
	switch (-(long)regs->rax) {
	case RESTARTNOINTR:
		syscall_again(regs);
		break;
	case RESTART_RESTARTBLOCK:
		make_rest_again(&again);
		if (!handler_pending) {
			*regs = again;
		} else if (again.rip != regs->rip) {
			/* Without a block it is this code that does the same:
			 * EINTR, but only if the handler runs here. */
			regs->rdi = again.rdi;
			regs->rdx = again.rdx;
			regs->rax = (unsigned long long)-RESTARTNOHAND;
		} else {
			*regs = again;
		}
		break;
	default:
		if (!handler_pending)
			syscall_again(regs);
		break;
	}
}

/* mov $nr, %eax stands right before most system calls. */
static long number_in_text(struct tracee *t, uint64_t rip)
{
	uint64_t word;

	errno = 0;
	word = (uint64_t)ptrace(PTRACE_PEEKTEXT, t->tid, rip - 8, NULL);
	if (errno || (word >> 8 & 0xff) != 0xb8)
		return -1;
	return (long)(uint32_t)(word >> 16);
}

/* By arguments that only one of the four calls with a restart block takes. */
static long number_by_args(struct tracee *t,
			   const struct user_regs_struct *regs)
{
	const uint64_t lowest_pointer = 0x10000;
	uint64_t word;

	if (regs->rdi && regs->rdi < lowest_pointer)
		return SYS_clock_nanosleep;
	if (!regs->rdi)
		return regs->rdx >= lowest_pointer ? SYS_clock_nanosleep
						   : SYS_poll;
	if (regs->rsi >= lowest_pointer)
		return SYS_nanosleep;
	if (regs->r10 < lowest_pointer)
		return regs->rsi ? SYS_poll : SYS_nanosleep;
	/* FUTEX_WAIT with a timeout: the word is what it waits to change. */
	errno = 0;
	word = (uint64_t)ptrace(PTRACE_PEEKDATA, t->tid, regs->rdi, NULL);
	return !errno && (uint32_t)word == (uint32_t)regs->rdx ? SYS_futex : -1;
}

void syscall_identify(struct tracee *t, struct user_regs_struct *regs)
{
	long nr;

	if ((long)regs->orig_rax != SYS_restart_syscall)
		return;
	nr = number_in_text(t, regs->rip);
	switch (nr) {
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
	case SYS_poll:
	case SYS_futex:
		break;
	default:
		nr = number_by_args(t, regs);
	}
	if (nr >= 0)
		regs->orig_rax = (unsigned long long)nr;
}
