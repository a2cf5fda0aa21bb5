// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a thread has registered with the kernel (address cleared at its exit,
 * robust list, rseq area, alternate stack) and its small attributes; and the
 * kinds of thread that are not saved.
 */
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

/* PF_* of the kernel: what PR_SET_IO_FLUSHER sets. */
#define MEMALLOC_NOIO  0x00080000u
#define LOCAL_THROTTLE 0x00100000u
#define IO_FLUSHER     (MEMALLOC_NOIO | LOCAL_THROTTLE)

#define COMM_BYTES   16
#define CS_64BIT     0x33
#define SELECTOR_LDT 4

struct kernel_stack { /* stack_t */
	uint64_t sp;
	int32_t flags;
	uint64_t size;
};

static void refuse(const struct thread_view *thread, struct refusals *no,
		   const char *remedy, const char *what)
{
	refusals_add(no, thread->task->ns_pid, thread->task->stat->comm, -1,
		     remedy, "thread %d %s", (int)thread->ns_tid, what);
}

/* The register set exists only where ports were opened. */
static bool has_ports(pid_t tid)
{
	uint8_t map[8192];
	struct iovec v = { .iov_base = map, .iov_len = sizeof(map) };

	return ptrace(PTRACE_GETREGSET, tid, NT_386_IOPERM, &v) == 0 &&
	       v.iov_len > 0;
}

static void check_stopped(const struct thread_view *thread, struct refusals *no)
{
	const struct user_regs_struct *regs = thread->regs;

	if (has_ports(thread->tid))
		refuse(thread, no, "do without ioperm(2)",
		       "has access to I/O ports");
	if (!regs)
		return;
	if (regs->cs != CS_64BIT)
		refuse(thread, no, "use a 64-bit build of it",
		       "runs 32-bit code");
	if ((regs->ss | regs->ds | regs->es | regs->fs | regs->gs) &
	    SELECTOR_LDT)
		refuse(thread, no, "do without modify_ldt(2)",
		       "uses segments of its own");
}

/* Only those who could set it may ask for it; /proc tells everybody. */
static int check_flusher(const struct thread_view *thread, struct refusals *no,
			 struct err *err)
{
	struct proc_stat stat;
	int r;

	r = proc_read_stat(thread->proc_fd, &stat, err);
	if (r == 0 && (stat.flags & IO_FLUSHER) == IO_FLUSHER)
		refuse(thread, no, "do without PR_SET_IO_FLUSHER",
		       "is an I/O flusher");
	return r;
}

static int thread_check(const struct dump_ctx *ctx,
			const struct thread_view *thread, struct refusals *no,
			struct err *err)
{
	const struct proc_status *st = thread->status;
	long prio;

	if (!thread->tracee && st->tracer)
		refuse(thread, no, "end the debugger or strace first",
		       "is being traced");
	prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, thread->tid);
	if (prio >= 0 && IOPRIO_PRIO_CLASS(prio) == IOPRIO_CLASS_RT &&
	    ctx->options->owner->uid != 0)
		refuse(thread, no, "give it another class (ionice)",
		       "has real-time I/O priority, which only root can give");
	if (thread->tracee && thread->tracee->stopped)
		check_stopped(thread, no);
	return check_flusher(thread, no, err);
}

static int read_comm(int proc_fd, char ret[COMM_BYTES + 1], struct err *err)
{
	auto_free char *text = NULL;
	size_t len;
	int r;

	r = read_file_at(proc_fd, "comm", 256, &text, &len, err);
	if (r < 0)
		return err_wrap(err, r, "name");
	if (len && text[len - 1] == '\n')
		len--;
	if (len >= COMM_BYTES)
		len = COMM_BYTES - 1;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return 0;
}

/* prctl(option, address): the answer is left at the address. */
static int get_at(struct remote *remote, const char *what, int option,
		  void *ret, size_t len, struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	r = remote_call(remote, what, &value, err, __NR_prctl, (uint64_t)option,
			at, 0, 0, 0, 0);
	return r < 0 ? r : remote_read(remote, at, ret, len, err);
}

static int read_altstack(struct remote *remote, ThreadRecord *rec,
			 struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	struct kernel_stack ss;
	int64_t value;
	int r;

	r = remote_call(remote, "sigaltstack", &value, err, __NR_sigaltstack, 0,
			at, 0, 0, 0, 0);
	if (r == 0)
		r = remote_read(remote, at, &ss, sizeof(ss), err);
	if (r < 0)
		return r;
	rec->altstack_sp = ss.sp;
	rec->altstack_size = ss.size;
	/* Where the stack pointer is says whether it is in use. */
	rec->altstack_flags = (uint32_t)ss.flags & ~(uint32_t)SS_ONSTACK;
	return 0;
}

/* 0: the program may not use CPUID; old CPUs cannot forbid it (-ENODEV). */
static int refuse_cpuid_fault(struct remote *remote, struct err *err)
{
	const uint64_t args[6] = { ARCH_GET_CPUID };
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_arch_prctl, args, &value, err);
	if (r < 0)
		return r;
	return value == 0 ? err_set(err, -ENOTSUP,
				    "it lets CPUID fault "
				    "(ARCH_SET_CPUID), which is not saved")
			  : 0;
}

/*
 * Its death signal comes when the thread ends that forked it.  A restore forks
 * from main threads: it may not be another's.
 */
static int refuse_death_of_thread(const struct dump_ctx *ctx,
				  const struct thread_view *thread,
				  struct err *err)
{
	const struct task_view *task = thread->task;
	const pid_t parent = task->stat->ppid;
	auto_close int proc_fd = -EBADF, main_fd = -EBADF;
	auto_free pid_t *tids = NULL, *children = NULL;
	size_t ntids, n;
	int r;

	if (!ctx->engine->ns_pid(ctx->engine->arg, parent))
		return 0;
	r = proc_open(parent, 0, &proc_fd, err);
	if (r == 0)
		r = proc_read_threads(proc_fd, &tids, &ntids, err);
	if (r < 0 || ntids < 2)
		return r;
	r = proc_open(parent, parent, &main_fd, err);
	if (r == 0)
		r = proc_read_children(main_fd, &children, &n, err);
	if (r < 0)
		return err_wrap(err, r, "which thread of %d forked it", parent);
	for (size_t i = 0; i < n; i++)
		if (children[i] == task->pid)
			return 0;
	return err_set(
		err, -ENOTSUP,
		"it is to have a signal when a thread of %d ends that is "
		"not the main one (PR_SET_PDEATHSIG): let the main "
		"thread fork it, or wait until it has ended",
		parent);
}

static int read_inside(const struct dump_ctx *ctx,
		       const struct thread_view *thread, ThreadRecord *rec,
		       struct err *err)
{
	struct remote *remote = thread->remote;
	int64_t value;
	int r;

	r = get_at(remote, "PR_GET_TID_ADDRESS", PR_GET_TID_ADDRESS,
		   &rec->clear_child_tid, 8, err);
	if (r == 0)
		r = read_altstack(remote, rec, err);
	if (r == 0)
		r = get_at(remote, "PR_GET_PDEATHSIG", PR_GET_PDEATHSIG,
			   &rec->pdeath_signal, 4, err);
	if (r == 0 && rec->pdeath_signal)
		r = refuse_death_of_thread(ctx, thread, err);
	if (r == 0)
		r = get_at(remote, "PR_GET_TSC", PR_GET_TSC, &rec->tsc_mode, 4,
			   err);
	if (r == 0)
		r = refuse_cpuid_fault(remote, err);
	if (r == 0)
		r = remote_call(remote, "PR_GET_TIMERSLACK", &value, err,
				__NR_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0, 0);
	if (r < 0)
		return r;
	rec->timer_slack_ns = (uint64_t)value;
	r = remote_call(remote, "PR_MCE_KILL_GET", &value, err, __NR_prctl,
			PR_MCE_KILL_GET, 0, 0, 0, 0, 0);
	if (r == 0)
		rec->mce_kill = (uint32_t)value;
	return r;
}

static int read_outside(const struct thread_view *thread, ThreadRecord *rec,
			struct err *err)
{
	uint64_t head = 0, len = 0;
	long prio;

	if (syscall(SYS_get_robust_list, thread->tid, &head, &len) < 0)
		return err_sys(err, "get_robust_list");
	prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, thread->tid);
	if (prio < 0)
		return err_sys(err, "ioprio_get");
	rec->robust_head = head;
	rec->robust_len = len;
	rec->ioprio = (uint32_t)prio;
	rec->rseq_address = thread->rseq.address;
	rec->rseq_size = thread->rseq.size;
	rec->rseq_signature = thread->rseq.signature;
	rec->rseq_flags = thread->rseq.flags;
	rec->has_tsc_mode = rec->has_mce_kill = 1;
	rec->has_spec_store_bypass = rec->has_spec_indirect_branch = 1;
	rec->spec_store_bypass = thread->status->spec_store_bypass;
	rec->spec_indirect_branch = thread->status->spec_indirect_branch;
	return 0;
}

static int read_dispatch(const struct thread_view *thread, ThreadRecord *rec,
			 SyscallDispatch *room, struct err *err)
{
	struct dispatch d;
	int r;

	r = tracee_get_dispatch(thread->tracee, &d, err);
	if (r < 0 || !d.on)
		return r;
	room->offset = d.offset;
	room->len = d.len;
	room->selector = d.selector;
	rec->dispatch = room;
	return 0;
}

static int thread_dump(const struct dump_ctx *ctx,
		       const struct thread_view *thread, struct err *err)
{
	SyscallDispatch dispatch = SYSCALL_DISPATCH__INIT;
	ThreadRecord rec = THREAD_RECORD__INIT;
	char comm[COMM_BYTES + 1];
	int r;

	r = read_comm(thread->proc_fd, comm, err);
	if (r == 0)
		r = read_outside(thread, &rec, err);
	if (r == 0)
		r = read_dispatch(thread, &rec, &dispatch, err);
	if (r == 0)
		r = read_inside(ctx, thread, &rec, err);
	if (r < 0)
		return r;
	r = ctx->engine->ends_at(ctx->engine->arg, thread, rec.clear_child_tid,
				 rec.robust_head, err);
	if (r < 0)
		return r;
	rec.tid = thread->ns_tid;
	rec.comm = comm;
	return img_put(ctx->out, TAG_THREAD, &rec.base, err);
}

/* Of the buffer, until the calls are made. */
#define NAME_AT  0
#define STACK_AT COMM_BYTES

static int call(struct remote *remote, struct err *err, const char *what,
		long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return remote_later(remote, what, REMOTE_ANY, err, nr, a0, a1, a2, a3,
			    0, 0);
}

static int set_name(struct remote *remote, const char *comm, struct err *err)
{
	const uint64_t at = remote_buffer(remote) + NAME_AT;
	char name[COMM_BYTES] = { 0 };
	int r;

	if (strlen(comm) >= COMM_BYTES)
		return err_set(err, -EBADMSG, "name of %zu bytes",
			       strlen(comm));
	memcpy(name, comm, strlen(comm));
	r = remote_write(remote, at, name, sizeof(name), err);
	return r < 0 ? r
		     : call(remote, err, "PR_SET_NAME", __NR_prctl, PR_SET_NAME,
			    at, 0, 0);
}

static int set_altstack(struct remote *remote, const ThreadRecord *rec,
			struct err *err)
{
	const struct kernel_stack ss = {
		.sp = rec->altstack_sp,
		.flags = (int32_t)rec->altstack_flags,
		.size = rec->altstack_size,
	};
	const uint64_t at = remote_buffer(remote) + STACK_AT;
	int r;

	if (rec->altstack_flags & SS_DISABLE)
		return 0;
	r = remote_write(remote, at, &ss, sizeof(ss), err);
	return r < 0 ? r
		     : call(remote, err, "sigaltstack", __NR_sigaltstack, at, 0,
			    0, 0);
}

static int set_speculation(struct remote *remote, const char *what,
			   uint64_t which, uint32_t state, struct err *err)
{
	const uint64_t how = state == SPECULATION_OFF ? PR_SPEC_DISABLE
						      : PR_SPEC_FORCE_DISABLE;

	if (state == SPECULATION_FREE)
		return 0;
	return call(remote, err, what, __NR_prctl, PR_SET_SPECULATION_CTRL,
		    which, how, 0);
}

static int set_attributes(struct remote *remote, const ThreadRecord *rec,
			  struct err *err)
{
	int r = 0;

	/* A real-time thread has none and cannot set it. */
	if (rec->timer_slack_ns)
		r = call(remote, err, "PR_SET_TIMERSLACK", __NR_prctl,
			 PR_SET_TIMERSLACK, rec->timer_slack_ns, 0, 0);
	if (r == 0 && rec->has_tsc_mode && rec->tsc_mode != PR_TSC_ENABLE)
		r = call(remote, err, "PR_SET_TSC", __NR_prctl, PR_SET_TSC,
			 rec->tsc_mode, 0, 0);
	if (r == 0 && rec->has_mce_kill && rec->mce_kill != PR_MCE_KILL_DEFAULT)
		r = call(remote, err, "PR_MCE_KILL", __NR_prctl, PR_MCE_KILL,
			 PR_MCE_KILL_SET, rec->mce_kill, 0);
	if (r == 0)
		r = set_speculation(remote, "store bypass",
				    PR_SPEC_STORE_BYPASS,
				    rec->spec_store_bypass, err);
	if (r == 0)
		r = set_speculation(remote, "indirect branches",
				    PR_SPEC_INDIRECT_BRANCH,
				    rec->spec_indirect_branch, err);
	return r;
}

static int thread_restore(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err)
{
	const ThreadRecord *rec = (const ThreadRecord *)msg;
	struct remote *remote = task->remote;
	int r;

	/*
	 * The one would catch our calls, the other sends the thread wherever
	 * the job's memory says: the engine turns them on after the last.
	 */
	thread->rseq = (struct rseq_config){
		.address = rec->rseq_address,
		.size = rec->rseq_size,
		.signature = rec->rseq_signature,
	};
	if (rec->dispatch)
		thread->dispatch =
			(struct dispatch){ .on = true,
					   .offset = rec->dispatch->offset,
					   .len = rec->dispatch->len,
					   .selector =
						   rec->dispatch->selector };
	r = set_name(remote, rec->comm, err);
	if (r == 0)
		r = set_altstack(remote, rec, err);
	if (r == 0)
		r = set_attributes(remote, rec, err);
	/* Others write to the buffer. */
	return r < 0 ? r : remote_flush(remote, err);
}

static int set_ioprio(struct remote *remote, pid_t tid, uint32_t wanted,
		      struct err *err)
{
	const long now = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);

	if (now == (long)wanted)
		return 0;
	return call(remote, err, "ioprio_set", __NR_ioprio_set,
		    IOPRIO_WHO_PROCESS, 0, wanted, 0);
}

/*
 * What would harm if the restore failed after it (the kernel writes through
 * both addresses when a thread dies), and what a change of credentials
 * resets.
 */
static int thread_finish(struct restore_ctx *ctx, struct restore_task *task,
			 struct restore_thread *thread,
			 const ProtobufCMessage *msg, struct err *err)
{
	const ThreadRecord *rec = (const ThreadRecord *)msg;
	struct remote *remote = task->remote;
	int r;

	r = call(remote, err, "set_tid_address", __NR_set_tid_address,
		 rec->clear_child_tid, 0, 0, 0);
	if (r == 0 && rec->robust_head)
		r = call(remote, err, "set_robust_list", __NR_set_robust_list,
			 rec->robust_head, rec->robust_len, 0, 0);
	if (r == 0)
		r = set_ioprio(remote, thread->tid, rec->ioprio, err);
	if (r == 0 && rec->pdeath_signal)
		r = call(remote, err, "PR_SET_PDEATHSIG", __NR_prctl,
			 PR_SET_PDEATHSIG, (uint64_t)rec->pdeath_signal, 0, 0);
	return r;
}

static const struct remote_ask asks[] = {
	{ "prctl", __NR_prctl, 1, { PR_GET_TID_ADDRESS } },
	{ "prctl", __NR_prctl, 1, { PR_GET_PDEATHSIG } },
	{ "prctl", __NR_prctl, 1, { PR_GET_TSC } },
	{ "prctl", __NR_prctl, 6, { PR_GET_TIMERSLACK } },
	{ "prctl", __NR_prctl, 6, { PR_MCE_KILL_GET } },
	{ "sigaltstack", __NR_sigaltstack, 1, { 0 } },
	{ "arch_prctl", __NR_arch_prctl, 6, { ARCH_GET_CPUID } },
	{ 0 },
};

const struct resource_ops res_thread = {
	.name = "thread attributes",
	.saved = "name, alternate stack, robust list, rseq, death signal, TSC, "
		 "MCE policy, timer slack, I/O priority, speculation control, "
		 "syscall user dispatch",
	.refused = "faulting CPUID, I/O ports, I/O flushers, dispatch of calls "
		   "that a checkpoint needs, death signals of a thread of the "
		   "parent that is not the main one",
	.changes = "PR_SET_PTRACER; which thread a child is of (__WNOTHREAD)",
	.tag = TAG_THREAD,
	.scope = SCOPE_THREAD,
	.stage = STAGE_THREAD,
	.check_thread = thread_check,
	.dump_thread = thread_dump,
	.asks = asks,
	.restore = thread_restore,
	.stage2 = STAGE_LAST,
	.restore2 = thread_finish,
};
