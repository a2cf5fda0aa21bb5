/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of each pair of steps below is chosen for the instant between
 * them: the tracer may die at any, and what the thread then does must lead
 * it back.  "On the frame" means: rip at `syscall; ret`, rsp at the frame;
 * a thread that is let go there restores itself.
 */
#include "inject/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject/frame.h"
#include "inject/remote_parts.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define EFLAGS_TRAP  (1ull << 8)
#define EFLAGS_DOWN  (1ull << 10)
#define SYSCALL_STOP (SIGTRAP | 0x80)
/* A stop that we ask for while all signals are blocked comes at once. */
#define STOP_PATIENCE_NS (10 * NSEC_PER_SEC)
/* Kernel codes that mean "make the call again". */
#define RESTART_FIRST (-514)
#define RESTART_LAST  (-512)
#define RESTARTS_MAX  100
/* Before we sleep until a thread stops. */
#define SPIN_TURNS 200

struct within {
	const struct dispatch *list;
	size_t count;
};

static bool passes_all(const void *arg, uint64_t ip)
{
	const struct within *w = arg;

	for (size_t i = 0; i < w->count; i++)
		if (!dispatch_passes(&w->list[i], ip))
			return false;
	return true;
}

int remote_new_within(pid_t pid, struct tracee *leader,
		      const struct remote *like, const struct dispatch *within,
		      size_t count, struct remote **ret, struct err *err)
{
	auto_free struct remote *r = calloc(1, sizeof(*r));
	const struct within w = { within, count };
	const struct place_rule rule = { passes_all, &w };
	struct user_regs_struct regs;
	int e;

	if (!r)
		return err_num(err, ENOMEM, "remote calls");
	r->pid = pid;
	cpu_info_read(&r->cpu);
	e = tracee_get_regs(leader, &regs, err);
	e = e < 0 ? e
		  : place_find(pid, regs.rsp, like ? &like->place : NULL, &rule,
			       &r->place, err);
	if (e < 0)
		return e;
	r->syscall_addr = r->place.call.addr;
	r->buffer = r->place.scratch;
	r->buffer_len = PLACE_SCRATCH - FRAME_MAX;
	r->stack = r->buffer + r->buffer_len;
	*ret = take_ptr(r);
	return 0;
}

int remote_new(pid_t pid, struct tracee *leader, const struct remote *like,
	       struct remote **ret, struct err *err)
{
	return remote_new_within(pid, leader, like, NULL, 0, ret, err);
}

int remote_passage(const struct remote *r, struct tracee *t,
		   struct passage *ret, struct err *err)
{
	return passage_read(
		ret, r->pid, t, r->place.call.addr + r->place.call.len,
		r->place.restorer.addr + r->place.restorer.len, err);
}

int remote_new_puppet(pid_t pid, struct tracee *leader, uint64_t syscall_addr,
		      uint64_t buffer, size_t buffer_len, struct remote **ret,
		      struct err *err)
{
	struct remote *r = calloc(1, sizeof(*r));

	if (!r)
		return err_num(err, ENOMEM, "remote calls");
	r->pid = pid;
	r->puppet = true;
	remote_move(r, syscall_addr, buffer, buffer_len);
	*ret = r;
	return 0;
}

void remote_move(struct remote *r, uint64_t syscall_addr, uint64_t buffer,
		 size_t buffer_len)
{
	r->syscall_addr = syscall_addr;
	r->buffer = buffer;
	r->buffer_len = later_take_room(r, buffer, buffer_len);
	/* No call needs a stack. */
	r->stack = buffer;
}

void remote_call_regs(const struct remote *r, struct user_regs_struct *regs,
		      long nr, const uint64_t args[6])
{
	*regs = r->saved;
	regs->rax = (unsigned long long)nr;
	regs->orig_rax = (unsigned long long)-1;
	regs->rdi = args[0];
	regs->rsi = args[1];
	regs->rdx = args[2];
	regs->r10 = args[3];
	regs->r8 = args[4];
	regs->r9 = args[5];
	regs->rip = r->syscall_addr;
	regs->rsp = r->stack;
	regs->eflags &= ~(EFLAGS_TRAP | EFLAGS_DOWN);
}

int remote_set_call(struct remote *r, long nr, const uint64_t args[6],
		    struct err *err)
{
	struct user_regs_struct regs;

	remote_call_regs(r, &regs, nr, args);
	return tracee_set_regs(r->t, &regs, err);
}

int remote_lay(struct remote *r, uint64_t addr, const void *buf, size_t len,
	       struct err *err)
{
	if (!r->sketch)
		return remote_write(r, addr, buf, len, err);
	memcpy(r->sketch + (addr - r->buffer), buf, len);
	return 0;
}

int remote_put_frame(struct remote *r, const struct user_regs_struct *regs,
		     uint64_t mask, uint64_t addr, uint64_t area,
		     struct err *err)
{
	auto_free uint8_t *xstate = malloc(XSTATE_MAX);
	auto_free uint8_t *buf = malloc(FRAME_MAX);
	struct frame_context ctx = {
		.cpu = &r->cpu,
		.regs = regs,
		.sigmask = mask,
		.xstate = xstate,
		.area = area,
		.restorer = r->place.restorer.addr,
	};
	size_t len = 0;
	int e = 0;

	if (!xstate || !buf)
		return err_num(err, ENOMEM, "frame");
	if (!area)
		e = tracee_get_xstate(r->t, xstate, XSTATE_MAX, &ctx.xstate_len,
				      err);
	e = e < 0 ? e : frame_build(&ctx, addr, buf, &len, err);
	if (e < 0)
		return e;
	r->dirty = true;
	return remote_lay(r, addr, buf, len, err);
}

/*
 * The state of the thread as a frame behind its stack pointer to be.
 * restarts: the handler that is about to run says that calls go on.
 */
static int write_frame(struct remote *r, bool restarts, struct err *err)
{
	struct user_regs_struct regs = r->saved;

	/* After rt_sigreturn the kernel looks at no restart code any more. */
	syscall_identify(r->t, &regs);
	syscall_rewind(&regs, r->t->handler_pending && !restarts);
	if (syscall_interrupted(&regs))
		regs.rax = (unsigned long long)-EINTR;
	return remote_put_frame(r, &regs, r->saved_mask, r->stack, 0, err);
}

int remote_suspend_filters(struct remote *r, bool suspend, struct err *err)
{
	return r->passage.filters.count
		       ? tracee_suspend_filters(r->t, suspend, err)
		       : 0;
}

int remote_admits(const struct remote *r, long nr, const uint64_t args[6],
		  bool must, struct err *err)
{
	struct remote_ask ask = { .nr = nr, .known = 6, .must = must };
	char name[32];
	int e;

	if (!r->passage.filters.count)
		return 0;
	(void)snprintf(name, sizeof(name), "system call %ld", nr);
	ask.name = name;
	memcpy(ask.args, args, sizeof(ask.args));
	e = passage_admits(&r->passage, &ask, err);
	return e < 0 ? err_wrap(err, e, "thread %d", (int)r->t->tid) : 0;
}

/* From here on it may have to get home alone at any time. */
static int check_passage(struct remote *r, const uint64_t first[6],
			 struct err *err)
{
	int e = remote_passage(r, r->t, &r->passage, err);

	e = e < 0 ? e : passage_leads_home(&r->passage, err);
	if (e < 0)
		return err_wrap(err, e, "thread %d", (int)r->t->tid);
	return remote_admits(r, SYS_getpid, first, false, err);
}

/*
 * Only the thread itself can tell whether a handler ends calls that can go
 * on.  Until it has told, they end: a wait too short does less harm than one
 * for ever.
 */
static int mend_frame(struct remote *r, struct err *err)
{
	struct {
		uint64_t handler, flags;
	} action;
	int64_t value;
	int e;

	if (!r->t->handler_pending || (long)r->saved.orig_rax < 0 ||
	    (long)r->saved.rax != RESTART_LAST)
		return 0;
	e = remote_call(r, "rt_sigaction", &value, err, SYS_rt_sigaction,
			(uint64_t)r->t->handler_pending, 0, r->buffer, 8, 0, 0);
	e = e < 0 ? e : remote_read(r, r->buffer, &action, sizeof(action), err);
	if (e < 0 || !(action.flags & SA_RESTART))
		return e;
	return write_frame(r, true, err);
}

int remote_begin(struct remote *r, struct tracee *t, struct err *err)
{
	static const uint64_t none[6];
	struct err ignored;
	int e;

	r->t = t;
	passage_done(&r->passage);
	e = tracee_get_regs(t, &r->saved, err);
	if (r->puppet) {
		if (e < 0)
			r->t = NULL;
		return e;
	}
	if (e == 0 && r->saved.rsp >= r->buffer &&
	    r->saved.rsp < r->buffer + PLACE_SCRATCH)
		e = err_set(err, -ENOTSUP,
			    "thread %d: its stack is where jobcr would work",
			    (int)t->tid);
	e = e < 0 ? e : check_passage(r, none, err);
	e = e < 0 ? e : tracee_get_sigmask(t, &r->saved_mask, err);
	e = e < 0 ? e : write_frame(r, false, err);
	e = e < 0 ? e : remote_suspend_filters(r, true, err);
	/*
	 * First on the frame (a getpid is what would be called), then the
	 * mask: the frame holds the true one.
	 */
	e = e < 0 ? e : remote_set_call(r, SYS_getpid, none, err);
	if (e < 0) {
		r->t = NULL;
		return e;
	}
	t->away = true;
	e = tracee_set_sigmask(t, ALL_SIGNALS, err);
	if (e < 0) {
		r->stuck = true;
		r->t = NULL;
		return e;
	}
	e = mend_frame(r, err);
	if (e < 0)
		(void)remote_end(r, &ignored);
	return e;
}

/*
 * From the end of a call into a stop like the one it was found in: only on
 * the way out of such a stop does the kernel look at restart codes.
 */
static int stop_again(struct remote *r, struct err *err)
{
	int e = tracee_interrupt(r->t, err);

	if (e < 0)
		return e;
	if (ptrace(PTRACE_CONT, r->t->tid, NULL, NULL) < 0)
		return err_sys(err, "thread %d: continue", (int)r->t->tid);
	r->t->stopped = false;
	return tracee_wait_stop(r->t, clock_monotonic_ns() + STOP_PATIENCE_NS,
				err);
}

int remote_end(struct remote *r, struct err *err)
{
	struct tracee *t = r->t;
	int e;

	if (!t)
		return 0;
	if (r->puppet || t->death >= 0) {
		e = t->death < 0 ? remote_flush(r, err) : 0;
		r->t = NULL;
		return e;
	}
	e = stop_again(r, err);
	e = e < 0 ? e : remote_suspend_filters(r, false, err);
	/* Still on the frame while the mask is the true one again. */
	e = e < 0 ? e : tracee_set_sigmask(t, r->saved_mask, err);
	e = e < 0 ? e : tracee_set_regs(t, &r->saved, err);
	r->t = NULL;
	if (e < 0)
		r->stuck = true;
	else
		t->away = false;
	return e;
}

enum step { STEP_CALL, STEP_BIRTH };

/*
 * The next stop is a moment away: a processor that goes to sleep for that needs
 * longer to wake up.
 */
static pid_t await_stop(pid_t tid, int *ret_status)
{
	pid_t got = 0;

	for (unsigned int turns = 0; got == 0 && turns < SPIN_TURNS; turns++) {
		got = waitpid(tid, ret_status, __WALL | WNOHANG);
		if (got == 0)
			sched_yield();
	}
	while (got == 0 || (got < 0 && errno == EINTR))
		got = waitpid(tid, ret_status, __WALL);
	return got;
}

/* Run to the next edge of a system call, or to a birth. */
static int run_step(struct tracee *t, enum step *ret, struct err *err)
{
	int sig = 0;

	for (;;) {
		int status, e;
		pid_t got;

		if (ptrace(PTRACE_SYSCALL, t->tid, NULL, sig) < 0 &&
		    errno != ESRCH)
			return err_sys(err, "thread %d: go on", (int)t->tid);
		got = await_stop(t->tid, &status);
		if (got < 0)
			return err_sys(err, "thread %d: wait", (int)t->tid);
		if (WIFSTOPPED(status) && WSTOPSIG(status) == SYSCALL_STOP) {
			*ret = STEP_CALL;
			return 0;
		}
		if (WIFSTOPPED(status) && status >> 16 &&
		    status >> 16 != PTRACE_EVENT_STOP) {
			*ret = STEP_BIRTH;
			return 0;
		}
		e = tracee_pass_stop(t, status, &sig, err);
		if (e < 0)
			return e;
	}
}

/* *ret_child is the pid that was born in the call, or 0. */
static int run_call(struct remote *r, long nr, const uint64_t args[6],
		    int64_t *ret_value, pid_t *ret_child, struct err *err)
{
	struct user_regs_struct regs;
	unsigned long message = 0;
	enum step step;
	int e;

	e = remote_set_call(r, nr, args, err);
	e = e < 0 ? e : run_step(r->t, &step, err);
	e = e < 0 ? e : run_step(r->t, &step, err);
	if (e == 0 && step == STEP_BIRTH) {
		if (ptrace(PTRACE_GETEVENTMSG, r->t->tid, NULL, &message) < 0)
			return err_sys(err, "thread %d: new child",
				       (int)r->t->tid);
		e = run_step(r->t, &step, err);
	}
	e = e < 0 ? e : tracee_get_regs(r->t, &regs, err);
	if (e < 0)
		return e;
	*ret_value = (int64_t)regs.rax;
	*ret_child = (pid_t)message;
	return 0;
}

int remote_syscall(struct remote *r, long nr, const uint64_t args[6],
		   int64_t *ret_value, struct err *err)
{
	int64_t value = 0;
	pid_t child;
	int e;

	if (!r->t)
		return err_set(err, -EINVAL, "remote call outside of a thread");
	e = remote_flush(r, err);
	e = e < 0 ? e : remote_admits(r, nr, args, false, err);
	if (e < 0)
		return e;
	/* A stop asked for from outside may interrupt even a short call. */
	for (int i = 0; i < RESTARTS_MAX; i++) {
		e = run_call(r, nr, args, &value, &child, err);
		if (e < 0)
			return e;
		if (value < RESTART_FIRST || value > RESTART_LAST) {
			*ret_value = value;
			return 0;
		}
	}
	return err_set(err, -EINTR, "thread %d: call %ld is always interrupted",
		       (int)r->t->tid, nr);
}

int remote_call(struct remote *r, const char *what, int64_t *ret_value,
		struct err *err, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5)
{
	const uint64_t args[6] = { a0, a1, a2, a3, a4, a5 };
	int64_t value = 0;
	int e = remote_syscall(r, nr, args, &value, err);

	if (e < 0)
		return err_wrap(err, e, "%s", what);
	if (value < 0 && value >= -4095)
		return err_num(err, (int)value, "%s", what);
	if (ret_value)
		*ret_value = value;
	return 0;
}

int remote_clone(struct remote *r, uint64_t flags, int exit_signal,
		 pid_t ns_tid, struct tracee *ret, struct err *err)
{
	struct {
		struct clone_args args;
		int32_t tid;
	} c = { .args = { .flags = flags,
			  .exit_signal = (uint64_t)exit_signal,
			  .set_tid = r->buffer + sizeof(c.args),
			  .set_tid_size = 1 },
		.tid = ns_tid };
	const uint64_t call[6] = { r->buffer, sizeof(c.args) };
	int64_t value = 0;
	pid_t pid = 0;
	int e;

	if (!r->t || !r->puppet)
		return err_set(err, -EINVAL, "clone3: not in a puppet");
	e = remote_flush(r, err);
	e = e < 0 ? e : remote_write(r, r->buffer, &c, sizeof(c), err);
	e = e < 0 ? e : run_call(r, SYS_clone3, call, &value, &pid, err);
	if (e < 0)
		return err_wrap(err, e, "clone3");
	if (value < 0)
		return err_num(err, (int)value, "clone3 of %d", (int)ns_tid);
	if (!pid)
		return err_set(err, -EIO, "clone3 of %d: it is not traced",
			       (int)ns_tid);
	*ret = (struct tracee){ .tid = pid, .exit_kill = true, .death = -1 };
	return tracee_wait_stop(ret, clock_monotonic_ns() + STOP_PATIENCE_NS,
				err);
}

uint64_t remote_buffer(const struct remote *r)
{
	return r->buffer;
}

size_t remote_buffer_size(const struct remote *r)
{
	return r->buffer_len;
}

pid_t remote_pid(const struct remote *r)
{
	return r->pid;
}

void remote_free(struct remote *r)
{
	struct err ignored;

	if (!r)
		return;
	/* Its process may be gone, and its number another's. */
	later_done(r);
	/* A process that was killed meanwhile needs neither. */
	(void)remote_end(r, &ignored);
	if (r->dirty && !r->stuck)
		(void)remote_write(r, r->place.scratch, r->place.saved,
				   PLACE_SCRATCH, &ignored);
	passage_done(&r->passage);
	place_done(&r->place);
	free(r);
}
