/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ends of a frozen tree: it goes on, or it is killed where it stands. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/freeze.h"
#include "engine/stopped.h"
#include "kernel/awake.h"
#include "util/clock.h"

/* Threads that are being killed end within this, or hang in the kernel. */
#define DEATH_NS (10 * NSEC_PER_SEC)
/* For one that did not stop in time: perhaps it does now. */
#define LATE_NS (NSEC_PER_SEC / 2)
/* And surely if all that it lacks is a CPU. */
#define BUSY_NS (10 * NSEC_PER_SEC)

/*
 * Collect the end of a thread.  Until its tracer has done that for every
 * thread, nobody is told that the process has died.
 */
static int await_death(struct tracee *t, uint64_t deadline, struct err *err)
{
	int status;

	while (t->death < 0) {
		pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);

		/* Its parent is this process, and has had it already. */
		if (got < 0 && errno == ECHILD)
			status = 0;
		if (got < 0 && errno != ECHILD)
			continue;
		if (got < 0 || (got > 0 && !WIFSTOPPED(status))) {
			t->death = status;
			break;
		}
		if (got > 0)
			continue;
		if (clock_monotonic_ns() >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "thread %d was killed and does not end",
				       (int)t->tid);
		nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
	}
	t->stopped = false;
	return 0;
}

static bool is_runnable(const struct frozen_thread *th)
{
	struct proc_stat st;
	struct err ignored;

	return proc_read_stat(th->proc_fd, &st, &ignored) == 0 &&
	       st.state == 'R';
}

/* It was asked to stop, so its call is interrupted whenever it does. */
static int await_late(struct frozen_thread *th, struct err *err)
{
	int r = tracee_wait_stop(&th->tracee, clock_monotonic_ns() + LATE_NS,
				 err);

	if (r == -ETIMEDOUT && is_runnable(th))
		r = tracee_wait_stop(&th->tracee,
				     clock_monotonic_ns() + BUSY_NS, err);
	return r < 0 ? r : stopped_mend(th, err);
}

static int thaw_thread(struct frozen_thread *th, uint64_t deadline,
		       struct err *err)
{
	struct tracee *t = &th->tracee;
	int r = 0;

	/* Never seized, let go already, or dead. */
	if (t->tid == 0 || t->death >= 0)
		return 0;
	if (!t->stopped)
		r = await_late(th, err);
	if (t->stopped && (r == 0 || r != -ESRCH)) {
		struct err detach = { 0 };
		int d = tracee_detach(t, &detach);

		if (d < 0 && r == 0) {
			*err = detach;
			r = d;
		}
		if (d == 0)
			t->tid = 0;
	}
	/* Killed meanwhile, by whoever may: no failure of ours. */
	return r == -ESRCH ? await_death(t, deadline, err) : r;
}

void tree_rest(struct frozen_tree *tree)
{
	awake_end(&tree->awake_fd);
}

int tree_thaw(struct frozen_tree *tree, struct err *err)
{
	const uint64_t deadline = clock_monotonic_ns() + DEATH_NS;
	struct err one = { 0 };
	int first = 0;

	for (size_t i = 0; i < tree->ntasks; i++) {
		remote_free(tree->tasks[i].remote);
		tree->tasks[i].remote = NULL;
	}
	for (size_t i = 0; i < tree->ntasks; i++) {
		struct frozen_task *task = &tree->tasks[i];

		/* The leader last: it may be waited for after the others. */
		for (size_t k = task->nthreads; k-- > 0;) {
			int r = thaw_thread(&task->threads[k], deadline, &one);

			if (r < 0 && first == 0) {
				*err = one;
				first = err_wrap(err, r, "process %d: thaw",
						 (int)task->pid);
			}
		}
	}
	tree_rest(tree);
	return first;
}

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};

/*
 * At its end the kernel would mark each robust mutex that the thread holds as
 * left by a dead owner, in shared memory and files too, where the restored
 * job would find it.  So its list, which nobody needs any more, is emptied.
 */
static void empty_robust_list(pid_t pid, pid_t tid)
{
	struct robust_head list, *head = NULL;
	struct iovec here = { &list, sizeof(list) };
	struct iovec there = { NULL, sizeof(list) };
	size_t len;

	if (syscall(SYS_get_robust_list, tid, &head, &len) < 0 || !head)
		return;
	there.iov_base = head;
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) !=
	    (ssize_t)sizeof(list))
		return;
	list.next = (uint64_t)(uintptr_t)head;
	list.pending = 0;
	(void)process_vm_writev(pid, &here, 1, &there, 1, 0);
}

int tree_kill(struct frozen_tree *tree, struct err *err)
{
	uint64_t deadline;
	int first = 0;

	for (size_t i = 0; i < tree->ntasks; i++) {
		struct frozen_task *task = &tree->tasks[i];

		/* Needs the pid to be theirs, which it is while they live. */
		remote_free(task->remote);
		task->remote = NULL;
		for (size_t k = 0; k < task->nthreads; k++)
			if (task->threads[k].tracee.death < 0)
				empty_robust_list(task->pid,
						  task->threads[k].tid);
	}
	for (size_t i = 0; i < tree->ntasks; i++) {
		struct frozen_task *task = &tree->tasks[i];

		/* Whoever is gone already needs no signal. */
		if (!task->zombie)
			(void)syscall(SYS_pidfd_send_signal, task->pidfd,
				      SIGKILL, NULL, 0);
	}
	tree_rest(tree);
	deadline = clock_monotonic_ns() + DEATH_NS;
	for (size_t i = 0; i < tree->ntasks; i++) {
		struct frozen_task *task = &tree->tasks[i];

		for (size_t k = task->nthreads; k-- > 0;) {
			struct tracee *t = &task->threads[k].tracee;
			struct err one;
			int r = await_death(t, deadline, &one);

			/* It is nobody's to thaw. */
			if (r < 0)
				t->tid = 0;
			if (r < 0 && first == 0) {
				*err = one;
				first = r;
			}
		}
	}
	return first;
}

void tree_free(struct frozen_tree *tree)
{
	struct err ignored;

	if (!tree)
		return;
	(void)tree_thaw(tree, &ignored);
	for (size_t i = 0; i < tree->ntasks; i++) {
		struct frozen_task *task = &tree->tasks[i];

		for (size_t k = 0; k < task->nthreads; k++) {
			if (task->threads[k].proc_fd >= 0)
				close(task->threads[k].proc_fd);
			free(task->threads[k].siginfo);
		}
		free(task->threads);
		free(task->siginfo);
		proc_status_done(&task->status);
		if (task->pidfd >= 0)
			close(task->pidfd);
		if (task->proc_fd >= 0)
			close(task->proc_fd);
	}
	free(tree->tasks);
	memset(tree, 0, sizeof(*tree));
}
