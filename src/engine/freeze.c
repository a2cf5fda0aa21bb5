/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stopping a tree that goes on growing: pass over all members, seize what is
 * new, wait for the stops; done when everything known stands still and a
 * whole pass, through all of /proc too, has found nothing new.  Who is found
 * dead is new as well: its last act may have been a child that this pass
 * could no longer see.
 */
#include "engine/freeze.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/doors.h"
#include "engine/members.h"
#include "engine/reaper.h"
#include "engine/stopped.h"
#include "kernel/awake.h"
#include "kernel/kcmp.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/* How long a pass waits for one thread before it looks for others. */
#define PATIENCE_NS (20 * 1000 * 1000ull)
/*
 * And when a thread is first asked to stop.  Most do at once, and then what
 * the stop did to them is mended at once: if we died, who has stopped without
 * being mended would see an EINTR.
 */
#define QUICK_NS (200 * 1000ull)
/* Nobody is replaced that often in a row. */
#define SEIZE_TRIES 5
/* Nor does a child of vfork call vfork that deep. */
#define VFORKS_MAX 8
/* Between passes that wait for a vfork child to exec, and looks at doors. */
#define PAUSE_NS (200 * 1000)

struct freezer {
	const struct tree_members *members;
	struct frozen_tree *tree;
	uint64_t deadline;
	uint64_t leave_by;         /* so long threads may run out of the vDSO */
	size_t fresh;              /* what this pass found, dead or alive */
	size_t waiting;            /* threads that do not stand yet */
	bool whole;                /* this pass looks through all of /proc */
	const pid_t *coming;       /* whom this pass has still to look at */
	size_t ncoming;
	const struct doors *doors; /* whose holders may run still, or NULL */
	uint64_t patience_ns;      /* for how long then */
};

static struct frozen_task *find_task(struct frozen_tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->ntasks; i++)
		if (tree->tasks[i].pid == pid)
			return &tree->tasks[i];
	return NULL;
}

static struct frozen_thread *find_thread(struct frozen_task *task, pid_t tid)
{
	for (size_t i = 0; i < task->nthreads; i++)
		if (task->threads[i].tid == tid)
			return &task->threads[i];
	return NULL;
}

static int add_task(struct frozen_tree *tree, const struct frozen_task *task,
		    struct err *err)
{
	struct frozen_task *more =
		reallocarray(tree->tasks, tree->ntasks + 1, sizeof(*more));

	if (!more)
		return err_num(err, ENOMEM, "list of processes");
	tree->tasks = more;
	tree->tasks[tree->ntasks++] = *task;
	return 0;
}

static int add_thread(struct frozen_task *task,
		      const struct frozen_thread *thread, struct err *err)
{
	struct frozen_thread *more =
		reallocarray(task->threads, task->nthreads + 1, sizeof(*more));

	if (!more)
		return err_num(err, ENOMEM, "list of threads");
	task->threads = more;
	/* Numbers wrap around: the leader's is not always the lowest. */
	if (thread->tid == task->pid) {
		memmove(&more[1], &more[0], task->nthreads * sizeof(*more));
		more[0] = *thread;
	} else {
		more[task->nthreads] = *thread;
	}
	task->nthreads++;
	return 0;
}

static void forget_thread(struct frozen_task *task, size_t i)
{
	close(task->threads[i].proc_fd);
	free(task->threads[i].siginfo);
	task->lost = true;
	task->nthreads--;
	memmove(&task->threads[i], &task->threads[i + 1],
		(task->nthreads - i) * sizeof(*task->threads));
}

static bool is_dead(int proc_fd)
{
	struct proc_stat st;
	struct err ignored;

	return proc_read_stat(proc_fd, &st, &ignored) < 0 || st.state == 'Z' ||
	       st.state == 'X';
}

/* *ret tells whether it stands; one that died is taken out of the list. */
static int await_thread(struct freezer *f, struct frozen_task *task, size_t i,
			uint64_t patience_ns, bool *ret, struct err *err)
{
	struct frozen_thread *th = &task->threads[i];
	uint64_t until = clock_monotonic_ns() + patience_ns;
	int r;

	if (until > f->deadline)
		until = f->deadline;
	r = tracee_wait_stop(&th->tracee, until, err);
	if (r == 0)
		r = stopped_settle(task, th, f->deadline, f->leave_by, err);
	*ret = r != -ETIMEDOUT;
	if (r == -ETIMEDOUT) {
		struct err gone;

		/* An exec forgets that it was asked. */
		(void)tracee_interrupt(&th->tracee, &gone);
		return 0;
	}
	/*
	 * It is being killed: until its tracer has collected its end, its
	 * process does not end either, nor does the exec that ends it.
	 */
	if (r == -ESRCH && th->tracee.death < 0) {
		th->tracee.stopped = false;
		*ret = false;
		return 0;
	}
	if (r == -ESRCH || r == -ECHILD) {
		forget_thread(task, i);
		/* An exec takes the leader's place: look again. */
		f->fresh++;
		return 0;
	}
	return r;
}

/* A leader stays in the list until its whole process is gone. */
static int find_dead(struct freezer *f, struct frozen_task *task, pid_t tid)
{
	if (tid != task->pid || !task->leader_dead)
		f->fresh++;
	if (tid == task->pid)
		task->leader_dead = true;
	return 0;
}

/* The tid of its tracer, 0: none. */
static pid_t read_tracer(int proc_fd)
{
	struct proc_status status;
	struct err ignored;
	pid_t tracer;

	if (proc_read_status(proc_fd, &status, &ignored) < 0)
		return 0;
	tracer = status.tracer;
	proc_status_done(&status);
	return tracer;
}

/*
 * Once an exec has ended a leader, its number is that of another thread: one
 * that we trace already, or one that could have been seized a moment later.
 */
static int seize(struct frozen_thread *th, struct err *err)
{
	int r = -EPERM;

	for (int i = 0; i < SEIZE_TRIES && r == -EPERM; i++) {
		reaper_open();
		r = tracee_seize(&th->tracee, th->tid, false, err);
		reaper_close();
		if (r != -EPERM || is_dead(th->proc_fd))
			return r;
		if (read_tracer(th->proc_fd) == gettid()) {
			th->tracee =
				(struct tracee){ .tid = th->tid, .death = -1 };
			return 0;
		}
	}
	return r;
}

static int seize_thread(struct freezer *f, struct frozen_task *task, pid_t tid,
			struct err *err)
{
	struct frozen_thread th = { .tid = tid, .proc_fd = -EBADF };
	bool stands;
	size_t at;
	int r;

	r = proc_open(task->pid, tid, &th.proc_fd, err);
	if (r == -ESRCH)
		return find_dead(f, task, tid);
	if (r < 0)
		return r;
	r = seize(&th, err);
	if (r == 0)
		r = add_thread(task, &th, err);
	if (r < 0) {
		/* A thread on its way out can no more be seized. */
		if (r == -ESRCH || (r == -EPERM && is_dead(th.proc_fd)))
			r = find_dead(f, task, tid);
		else if (r == -EPERM)
			err_wrap(err, r, "is it being debugged?");
		close(th.proc_fd);
		return r;
	}
	f->fresh++;
	at = (size_t)(find_thread(task, tid) - task->threads);
	r = tracee_interrupt(&task->threads[at].tracee, err);
	if (r == 0)
		return await_thread(f, task, at, QUICK_NS, &stands, err);
	return r == -ESRCH ? 0 : r;
}

static int seize_threads(struct freezer *f, struct frozen_task *task,
			 struct err *err)
{
	auto_free pid_t *tids = NULL;
	size_t n = 0;
	int r;

	r = proc_read_threads(task->proc_fd, &tids, &n, err);
	if (r == -ESRCH)
		return 0;
	for (size_t i = 0; i < n && r == 0; i++)
		if (!find_thread(task, tids[i]))
			r = seize_thread(f, task, tids[i], err);
	return r;
}

static bool all_stopped(const struct frozen_task *task)
{
	for (size_t i = 0; i < task->nthreads; i++)
		if (!task->threads[i].tracee.stopped)
			return false;
	return task->nthreads > 0;
}

static bool is_coming(const struct freezer *f, pid_t pid)
{
	for (size_t i = 0; i < f->ncoming; i++)
		if (f->coming[i] == pid)
			return true;
	return false;
}

/*
 * A child of vfork uses its parent's memory, and the parent cannot stop
 * before it has let go of it (exec or exit): it has to run until then.  Its
 * number may be the lower one, when numbers have begun anew: then it is looked
 * at before its parent is.
 */
static int is_borrower(struct freezer *f, const struct frozen_task *task,
		       bool *ret, struct err *err)
{
	struct frozen_task *parent = find_task(f->tree, task->stat.ppid);
	struct err gone;
	int same;

	*ret = false;
	if ((parent && parent->zombie) || task->nthreads ||
	    kcmp_tasks(task->stat.ppid, task->pid, KCMP_KIND_VM, &same,
		       &gone) < 0)
		return 0;
	if (same != 0 || (!parent && !is_coming(f, task->stat.ppid)))
		return 0;
	if (parent && all_stopped(parent))
		return err_set(err, -ENOTSUP,
			       "process %d (%s) shares its memory with its "
			       "parent %d, which does not wait for it: such "
			       "programs cannot be checkpointed",
			       (int)task->pid, task->stat.comm,
			       (int)parent->pid);
	*ret = true;
	return 0;
}

/* A zombie whose parent is init is gone as soon as init looks. */
static bool is_no_member(struct freezer *f, const struct frozen_task *task)
{
	return task->zombie && f->members->init_pid &&
	       task->stat.ppid == f->members->init_pid;
}

static void close_task(struct frozen_task *task)
{
	if (task->pidfd >= 0)
		close(task->pidfd);
	if (task->proc_fd >= 0)
		close(task->proc_fd);
}

/*
 * May it run still?  So may a child of vfork, for which such a one waits, as
 * long as they share their memory.
 */
static bool may_run(const struct freezer *f, pid_t pid)
{
	for (unsigned int i = 0; f->doors && i < VFORKS_MAX; i++) {
		auto_close int proc_fd = -EBADF;
		struct proc_stat st;
		struct err gone;
		int same;

		if (doors_has(f->doors, pid))
			return true;
		if (proc_open(pid, 0, &proc_fd, &gone) < 0 ||
		    proc_read_stat(proc_fd, &st, &gone) < 0 ||
		    kcmp_tasks(pid, st.ppid, KCMP_KIND_VM, &same, &gone) < 0 ||
		    same != 0)
			return false;
		pid = st.ppid;
	}
	return false;
}

/* A member seen in this pass: known, new, or not to be stopped yet. */
static int visit(struct freezer *f, pid_t pid, struct err *err)
{
	struct frozen_task *known = find_task(f->tree, pid);
	struct frozen_task task;
	bool borrower = false;
	int r;

	if (known)
		return known->zombie ? 0 : seize_threads(f, known, err);
	if (may_run(f, pid))
		return 0;
	r = members_open(pid, &task, err);
	if (r == -ESRCH) {
		f->fresh++;
		return 0;
	}
	if (r < 0)
		return r;
	r = is_borrower(f, &task, &borrower, err);
	if (r == 0 && borrower) {
		f->waiting++;
		close_task(&task);
		return 0;
	}
	r = r < 0 ? r : add_task(f->tree, &task, err);
	if (r < 0) {
		close_task(&task);
		return r;
	}
	f->fresh++;
	if (task.zombie)
		return 0;
	return seize_threads(f, &f->tree->tasks[f->tree->ntasks - 1], err);
}

static int visit_all(struct freezer *f, struct err *err)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	int r;

	r = members_list(f->members, f->whole, &pids, &n, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		f->coming = pids + i + 1;
		f->ncoming = n - i - 1;
		r = visit(f, pids[i], err);
	}
	f->ncoming = 0;
	return r;
}

static int await_all(struct freezer *f, struct err *err)
{
	for (size_t i = 0; i < f->tree->ntasks; i++) {
		struct frozen_task *task = &f->tree->tasks[i];

		/* From behind: the dead are taken out of the list. */
		for (size_t k = task->nthreads; k-- > 0;) {
			bool stands = true;
			int r = 0;

			if (!task->threads[k].tracee.stopped)
				r = await_thread(f, task, k, PATIENCE_NS,
						 &stands, err);
			f->waiting += !stands;
			if (r < 0)
				return err_wrap(err, r, "process %d (%s)",
						(int)task->pid,
						task->stat.comm);
		}
	}
	return 0;
}

/*
 * Who lost all threads died, or is gone (a zombie, because its parent still
 * ran when it was seen), or has new ones since; who cannot be asked for
 * registers is dying, or another thread than the one that was stopped (exec
 * by a sibling).
 */
static int check_task(struct freezer *f, struct frozen_task *task,
		      struct err *err)
{
	struct proc_stat st;
	struct err gone;

	if (task->zombie || task->nthreads == 0) {
		if (!members_over(task->pidfd)) {
			f->fresh++;
			return 0;
		}
		if (proc_read_stat(task->proc_fd, &task->stat, &gone) < 0)
			return 1;
		task->zombie = true;
		return is_no_member(f, task) ? 1 : 0;
	}
	for (size_t i = task->nthreads; i-- > 0;) {
		struct user_regs_struct regs;
		struct frozen_thread *th = &task->threads[i];
		int r = tracee_get_regs(&th->tracee, &regs, err);

		if (r == 0 && task->lost)
			r = stopped_settle(task, th, f->deadline, f->leave_by,
					   err);
		if (r == -ESRCH || r == -ECHILD) {
			th->tracee.stopped = false;
			f->fresh++;
		} else if (r < 0) {
			return r;
		}
	}
	task->lost = false;
	if (task->nthreads && task->threads[0].tid != task->pid &&
	    proc_read_stat(task->proc_fd, &st, &gone) == 0 && st.state == 'Z')
		return err_set(err, -ENOTSUP,
			       "process %d (%s): its main thread has ended "
			       "while others go on; such programs cannot be "
			       "checkpointed",
			       (int)task->pid, task->stat.comm);
	return 0;
}

static int check_all(struct freezer *f, struct err *err)
{
	struct frozen_tree *tree = f->tree;

	for (size_t i = tree->ntasks; i-- > 0;) {
		struct frozen_task *task = &tree->tasks[i];
		int r = check_task(f, task, err);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		close_task(task);
		free(task->threads);
		tree->ntasks--;
		memmove(task, task + 1,
			(tree->ntasks - i) * sizeof(*tree->tasks));
	}
	return 0;
}

/* Name the first thread that does not stop, and where the kernel has it. */
static int blame(const struct freezer *f, struct err *err)
{
	for (size_t i = 0; i < f->tree->ntasks; i++) {
		const struct frozen_task *task = &f->tree->tasks[i];

		for (size_t k = 0; k < task->nthreads; k++) {
			const struct frozen_thread *th = &task->threads[k];
			auto_free char *wchan = NULL;
			struct proc_stat st = { .state = '?' };
			struct err ignored;

			if (th->tracee.stopped)
				continue;
			(void)read_file_at(th->proc_fd, "wchan", 256, &wchan,
					   NULL, &ignored);
			(void)proc_read_stat(th->proc_fd, &st, &ignored);
			if (st.state == 'R')
				return err_set(err, -ETIMEDOUT,
					       "process %d (%s) thread %d does "
					       "not stop: it gets no CPU; try "
					       "again when the node is less "
					       "busy",
					       (int)task->pid, task->stat.comm,
					       (int)th->tid);
			return err_set(err, -ETIMEDOUT,
				       "process %d (%s) thread %d does not "
				       "stop: state %c in %s; try again when "
				       "its I/O or its child lets it go",
				       (int)task->pid, task->stat.comm,
				       (int)th->tid, st.state,
				       wchan && *wchan ? wchan : "(unknown)");
		}
	}
	return err_set(err, -ETIMEDOUT,
		       "the tree grows faster than it can be stopped");
}

/* All others stand: who listens accepts those who wait, and then has no more.
 */
static void await_doors(struct freezer *f)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until = clock_monotonic_ns() + f->patience_ns;

	while (doors_busy(f->doors) && clock_monotonic_ns() < until) {
		nanosleep(&pause, NULL);
		reaper_collect();
	}
	f->doors = NULL;
}

static int stop_all(struct freezer *f, struct err *err)
{
	for (;;) {
		int r;

		/* Who waits may wait for those to be collected. */
		if (f->waiting)
			reaper_collect();
		f->fresh = f->waiting = 0;
		r = visit_all(f, err);
		r = r < 0 ? r : await_all(f, err);
		if (r == 0 && !f->fresh && !f->waiting)
			r = check_all(f, err);
		if (r < 0)
			return r;
		if (!f->fresh && !f->waiting && f->whole) {
			if (!f->doors)
				return 0;
			await_doors(f);
		}
		if (clock_monotonic_ns() >= f->deadline)
			return blame(f, err);
		/* The last pass, which finds nothing to do, is a whole one. */
		f->whole = !f->waiting;
		if (!f->fresh && f->waiting)
			nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS },
				  NULL);
	}
}

static int take_ids(struct frozen_task *task, struct frozen_thread *th,
		    struct err *err)
{
	struct proc_status status;
	int r;

	if (th->tid == task->pid) {
		th->ns_tid = task->ns_pid;
		return 0;
	}
	/* In one namespace with us the numbers are the same. */
	if (task->status.ns_levels == 1) {
		th->ns_tid = th->tid;
		return 0;
	}
	r = proc_read_status(th->proc_fd, &status, err);
	if (r < 0)
		return r;
	th->ns_tid = status.ns_pid;
	proc_status_done(&status);
	return 0;
}

static int take_task(struct frozen_task *task, struct err *err)
{
	int r;

	r = proc_read_stat(task->proc_fd, &task->stat, err);
	r = r < 0 ? r : proc_read_status(task->proc_fd, &task->status, err);
	if (r < 0)
		return r;
	task->ns_pid = task->status.ns_tgid;
	if (task->zombie)
		return 0;
	r = tracee_peek_signals(&task->threads[0].tracee, true, &task->siginfo,
				&task->nsiginfo, err);
	for (size_t i = 0; i < task->nthreads && r == 0; i++) {
		r = stopped_take(task, &task->threads[i], err);
		r = r < 0 ? r : take_ids(task, &task->threads[i], err);
	}
	return r;
}

static int take_all(struct frozen_tree *tree, struct err *err)
{
	tree->nthreads = 0;
	for (size_t i = 0; i < tree->ntasks; i++) {
		struct frozen_task *task = &tree->tasks[i];
		int r = take_task(task, err);

		if (r < 0)
			return err_wrap(err, r, "process %d (%s)",
					(int)task->pid, task->stat.comm);
		tree->nthreads += task->nthreads;
	}
	return members_sort(tree, err);
}

int tree_freeze_last(const struct tree_members *members, uint64_t deadline_ns,
		     const struct doors *doors, uint64_t patience_ns,
		     struct frozen_tree *ret, struct err *err)
{
	struct frozen_tree tree = { .started_ns = clock_monotonic_ns() };
	struct freezer f = {
		.members = members,
		.tree = &tree,
		.deadline = tree.started_ns + deadline_ns,
		.leave_by = tree.started_ns + deadline_ns / 10,
		.whole = true,
		.doors = doors && doors->count ? doors : NULL,
		.patience_ns = patience_ns,
	};
	struct reaper reaper;
	int r;

	tree.awake_fd = awake_begin();
	reaper_begin(&reaper, &tree);
	r = stop_all(&f, err);
	reaper_end(&reaper);
	tree.stopped_ns = clock_monotonic_ns();
	r = r < 0 ? r : take_all(&tree, err);
	if (r == 0 && tree.nthreads == 0)
		r = members_ended(err);
	if (r < 0) {
		tree_free(&tree);
		return r;
	}
	*ret = tree;
	return 0;
}

int tree_freeze(const struct tree_members *members, uint64_t deadline_ns,
		struct frozen_tree *ret, struct err *err)
{
	return tree_freeze_last(members, deadline_ns, NULL, 0, ret, err);
}

static int scan_threads(struct frozen_task *task, struct err *err)
{
	auto_free pid_t *tids = NULL;
	size_t n = 0;
	int r;

	r = proc_read_status(task->proc_fd, &task->status, err);
	if (r < 0)
		return r;
	task->ns_pid = task->status.ns_tgid;
	if (task->zombie)
		return 0;
	r = proc_read_threads(task->proc_fd, &tids, &n, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct frozen_thread th = { .tid = tids[i] };

		r = proc_open(task->pid, th.tid, &th.proc_fd, err);
		if (r == -ESRCH) {
			r = 0;
			continue;
		}
		if (r == 0)
			r = take_ids(task, &th, err);
		if (r == 0)
			r = add_thread(task, &th, err);
		if (r < 0 && th.proc_fd >= 0)
			close(th.proc_fd);
		/* It ended while it was looked at. */
		if (r == -ESRCH || r == -ENOENT)
			r = 0;
	}
	return r;
}

static int scan_all(struct freezer *f, struct err *err)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	int r;

	r = members_list(f->members, true, &pids, &n, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct frozen_task task;

		r = members_open(pids[i], &task, err);
		if (r == 0 && is_no_member(f, &task)) {
			close_task(&task);
			continue;
		}
		if (r == 0)
			r = add_task(f->tree, &task, err);
		if (r == 0)
			r = scan_threads(&f->tree->tasks[f->tree->ntasks - 1],
					 err);
		if (r == -ESRCH || r == -ENOENT)
			r = 0;
	}
	return r;
}

int tree_scan(const struct tree_members *members, struct frozen_tree *ret,
	      struct err *err)
{
	struct frozen_tree tree = { 0 };
	struct freezer f = { .members = members, .tree = &tree };
	int r;

	r = scan_all(&f, err);
	for (size_t i = 0; i < tree.ntasks; i++)
		tree.nthreads += tree.tasks[i].nthreads;
	r = r < 0 ? r : members_sort(&tree, err);
	if (r == 0 && tree.nthreads == 0)
		r = members_ended(err);
	if (r < 0) {
		tree_free(&tree);
		return r;
	}
	*ret = tree;
	return 0;
}
