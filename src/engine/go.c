/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#include "engine/building.h"
#include "engine/vdso.h"
#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define INIT_DEADLINE (10 * NSEC_PER_SEC)
#define STOP_PATIENCE NSEC_PER_SEC

/* The last call of a task is made with the kernel's vDSO. */
static int remove_agent(struct puppet *p, struct err *err)
{
	struct vdso_image image;
	uint64_t insn;
	int64_t value;
	int r;

	r = vdso_own(&image, err);
	if (r == 0)
		r = vdso_syscall(&image, &insn, err);
	if (r == 0)
		r = puppet_enter(p, &p->task.threads[0], err);
	if (r < 0)
		return r;
	remote_move(p->task.remote, p->vdso + insn, 0, 0);
	r = puppet_call(p, "remove the builder", &value, err, __NR_munmap,
			p->task.agent_start,
			p->task.agent_end - p->task.agent_start, 0, 0, 0, 0);
	return r < 0 ? r : puppet_leave(p, err);
}

/*
 * Only on the way out of a stop like this one is the kernel certain to look
 * at an interrupted call, signal or not: it stops here before it takes one.
 */
static int stop_in_signals(struct tracee *t, struct err *err)
{
	int r = tracee_interrupt(t, err);

	if (r < 0)
		return r;
	if (ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
		return err_sys(err, "thread %d: continue", (int)t->tid);
	return tracee_wait_stop(t, clock_monotonic_ns() + INIT_DEADLINE, err);
}

/*
 * From here on the kernel sends the thread wherever the job's memory says,
 * which others of its user may write to: it must have no right by now but its
 * user's, and no call of ours may follow that has to end.
 */
static int begin_rseq(struct puppet *p, struct restore_thread *t,
		      struct err *err)
{
	int64_t value;
	int r = puppet_enter(p, t, err);

	if (r == 0)
		r = remote_call(p->task.remote, "rseq", &value, err, __NR_rseq,
				t->rseq.address, t->rseq.size, 0,
				t->rseq.signature, 0, 0);
	return r < 0 ? r : puppet_leave(p, err);
}

/* From here on calls of the thread are caught: none of ours may follow. */
static int begin_dispatch(struct puppet *p, struct restore_thread *t,
			  struct err *err)
{
	uint64_t a[4];
	int64_t value;
	int r;

	r = tracee_set_dispatch(&t->tracee, &t->dispatch, err);
	if (r != -EIO)
		return r;
	dispatch_arguments(&t->dispatch, a);
	r = puppet_enter(p, t, err);
	if (r == 0)
		r = remote_call(p->task.remote, "set user dispatch", &value,
				err, __NR_prctl, PR_SET_SYSCALL_USER_DISPATCH,
				a[0], a[1], a[2], a[3], 0);
	return r < 0 ? r : puppet_leave(p, err);
}

static int finish_thread(struct puppet *p, struct restore_thread *t,
			 struct err *err)
{
	int r = 0;

	if (!t->have_regs)
		return err_set(err, -EBADMSG, "no registers");
	if (t->rseq.address)
		r = begin_rseq(p, t, err);
	if (r == 0 && t->dispatch.on)
		r = begin_dispatch(p, t, err);
	r = r < 0 ? r : tracee_set_regs(&t->tracee, &t->regs, err);
	/* All signals are blocked until it stands there. */
	if (r == 0 && regs_in_call(&t->regs))
		r = stop_in_signals(&t->tracee, err);
	return r < 0 ? r : tracee_set_sigmask(&t->tracee, t->sigmask, err);
}

static int finish_task(struct puppet *p, struct err *err)
{
	int r;

	r = remove_agent(p, err);
	for (size_t k = 0; k < p->task.nthreads && r == 0; k++) {
		r = finish_thread(p, &p->task.threads[k], err);
		if (r < 0)
			return err_wrap(err, r, "pid %d: thread %d",
					p->task.ns_pid,
					p->task.threads[k].ns_tid);
	}
	return r;
}

int build_registers(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		if (!b->puppets[i].task.zombie)
			r = finish_task(&b->puppets[i], err);
	return r;
}

/* The kernel lets it go into its stop by itself; a busy one takes a while. */
static void await_stop(pid_t pid)
{
	const uint64_t deadline = clock_monotonic_ns() + STOP_PATIENCE;
	const struct timespec nap = { .tv_nsec = 100000 };
	auto_close int fd = -EBADF;
	struct proc_stat stat;
	struct err ignored;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && proc_read_stat(fd, &stat, &ignored) == 0 &&
	       stat.state != 'T' && clock_monotonic_ns() < deadline)
		nanosleep(&nap, NULL);
}

static int detach(const struct building *b, bool stopped, struct err *err)
{
	struct puppet *p;
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++) {
		p = &b->puppets[i];
		if (p->task.zombie || stopped != (b->plan->tasks[i]->state ==
						  TASK_RECORD__STATE__STOPPED))
			continue;
		for (size_t k = p->task.nthreads; k-- > 0 && r == 0;)
			r = tracee_detach(&p->task.threads[k].tracee, err);
		if (r < 0)
			return err_wrap(err, r, "pid %d", p->task.ns_pid);
		if (stopped)
			await_stop(p->task.pid);
	}
	return r;
}

/* Those that look at stopped ones, or wake them, find them stopped. */
static int detach_all(const struct building *b, struct err *err)
{
	int r = detach(b, true, err);

	return r < 0 ? r : detach(b, false, err);
}

/*
 * All run, or none: while one after the other is let go, init is tied to our
 * life, and with it everything in its namespace.
 */
int let_go(struct building *b, struct err *err)
{
	struct tracee init = { 0 };
	int r;

	/* Ours would keep pipes open whose last reader or writer is gone. */
	descriptors_free(b->fds);
	b->fds = NULL;
	r = tracee_seize(&init, b->args->init_pid, true, err);
	if (r < 0)
		return err_wrap(err, r, "init");
	r = detach_all(b, err);
	if (r < 0)
		return r;
	r = tracee_interrupt(&init, err);
	if (r == 0)
		r = tracee_wait_stop(&init,
				     clock_monotonic_ns() + INIT_DEADLINE, err);
	if (r == 0)
		r = tracee_detach(&init, err);
	return r < 0 ? err_wrap(err, r, "init") : 0;
}
