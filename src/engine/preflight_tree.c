// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/preflight.h"
#include "kernel/kcmp.h"
#include "util/cleanup.h"

#define PF_IO_WORKER 0x00000010u

static const char *const namespaces[] = {
	"user",
	"mnt",
	"net",
	"ipc",
	"uts",
	"cgroup",
	"pid_for_children",
	"time",
	"time_for_children",
};
#define NS_USER 0
#define NS_TIME 7 /* and what follows */

struct ns_set {
	uint64_t inode[ARRAY_SIZE(namespaces)]; /* 0: this kernel has none */
};

static void refuse(const struct collected_task *t, struct refusals *no,
		   const char *remedy, const char *what)
{
	refusals_add(no, t->view.ns_pid, t->view.stat->comm, -1, remedy, "%s",
		     what);
}

/* A process that ends has no namespaces any more. */
static int read_namespaces(int proc_fd, struct ns_set *ret, struct err *err)
{
	struct stat st;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		r = proc_stat_ns(proc_fd, namespaces[i], &st, err);
		if (r < 0 && r != -ENOENT)
			return r;
		ret->inode[i] = r == 0 ? st.st_ino : 0;
	}
	return 0;
}

static int check_namespaces(const struct collection *c,
			    const struct collected_task *t,
			    const struct ns_set *job, struct refusals *no,
			    struct err *err)
{
	char names[160] = "", what[224];
	unsigned int count = 0;
	struct ns_set own;
	size_t len = 0;
	int r;

	r = read_namespaces(t->view.proc_fd, &own, err);
	if (r < 0)
		return collection_gone(c, r) ? 0 : r;
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		if (own.inode[i] == job->inode[i] || !own.inode[i])
			continue;
		len += (size_t)snprintf(names + len, sizeof(names) - len,
					"%s%s", count ? ", " : "",
					namespaces[i]);
		count++;
	}
	if (!count)
		return 0;
	(void)snprintf(what, sizeof(what), "%s of its own (%s)",
		       count == 1 ? "a namespace" : "namespaces", names);
	refuse(t, no,
	       "run it without a container (Apptainer, bubblewrap) and without "
	       "unshare",
	       what);
	return 0;
}

/*
 * The namespaces of the job: those of its init, or of the tree's root.  Ids
 * are the node's.  A restored job has clocks of its own, which its init has
 * not.
 */
static int job_namespaces(const struct collection *c, pid_t init_pid,
			  struct ns_set *ret, struct err *err)
{
	auto_close int init_fd = -EBADF;
	auto_close int self_fd =
		open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ns_set self, root;
	int r;

	if (self_fd < 0)
		return err_sys(err, "/proc/self");
	r = read_namespaces(self_fd, &self, err);
	if (r == 0)
		r = read_namespaces(c->tasks[0].view.proc_fd, &root, err);
	if (r < 0)
		return r;
	*ret = root;
	if (init_pid) {
		r = proc_open(init_pid, 0, &init_fd, err);
		if (r == 0)
			r = read_namespaces(init_fd, ret, err);
	}
	ret->inode[NS_USER] = self.inode[NS_USER];
	for (size_t i = NS_TIME; i < ARRAY_SIZE(namespaces); i++)
		ret->inode[i] = root.inode[NS_TIME];
	return r;
}

static void check_state(const struct collection *c,
			const struct collected_task *t,
			const struct job_terminal *terminal,
			struct refusals *no)
{
	if (t->view.status->kernel_thread)
		refuse(t, no, "end it", "a kernel thread");
	if (t->view.stat->state == 'Z' && t->frozen->nthreads > 1)
		refuse(t, no, "let main() wait for its threads",
		       "its main thread has ended, others go on");
	if (t->view.stat->tty_nr && !t->frozen->zombie &&
	    !terminal_controls(terminal, t->view.stat->tty_nr) &&
	    !collection_controls(c, t->view.stat->tty_nr))
		refuse(t, no, "start it with setsid, or with jobcr run",
		       "a controlling terminal");
}

static int check_threads(const struct collection *c,
			 const struct collected_task *t, struct refusals *no,
			 struct err *err)
{
	static const enum kcmp_kind kinds[] = { KCMP_KIND_FILES, KCMP_KIND_FS };
	static const char *const what[] = {
		"a thread with descriptors of its own (unshare)",
		"a thread with a current directory of its own (unshare)",
	};
	struct proc_stat st;
	int same, r;

	for (size_t i = 0; i < t->nthreads; i++) {
		const struct thread_view *v = &t->threads[i];

		r = proc_read_stat(v->proc_fd, &st, err);
		if (r < 0 && !collection_gone(c, r))
			return r;
		if (r == 0 && (st.flags & PF_IO_WORKER))
			refuse(t, no, "disable io_uring in the program",
			       "a worker thread of io_uring");
		for (size_t k = 0; c->frozen && i && k < ARRAY_SIZE(kinds);
		     k++) {
			r = kcmp_tasks(t->view.pid, v->tid, kinds[k], &same,
				       err);
			if (r < 0)
				return r;
			if (same != 0)
				refuse(t, no, "do not unshare in threads",
				       what[k]);
		}
	}
	return 0;
}

struct sharing {
	const struct collection *c;
	enum kcmp_kind kind;
	struct err *err;
	int result;
};

static int compare_tasks(const void *a, const void *b, void *arg)
{
	struct sharing *s = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = 0, r;

	if (x == y || s->result < 0)
		return 0;
	r = kcmp_tasks(s->c->tasks[x].view.pid, s->c->tasks[y].view.pid,
		       s->kind, &order, s->err);
	if (r < 0)
		s->result = r;
	return order == 0 ? 0 : order == 1 ? -1 : 1;
}

/* Those without a list of undos seem to share it. */
static bool has_one(struct sharing *s, pid_t pid)
{
	bool has = true;

	if (s->kind == KCMP_KIND_SYSVSEM)
		s->result = kcmp_has_undos(pid, &has, s->err);
	return has;
}

static int check_sharing(const struct collection *c, enum kcmp_kind kind,
			 const char *what, struct refusals *no, struct err *err)
{
	struct sharing s = { .c = c, .kind = kind, .err = err };
	auto_free uint32_t *order = calloc(c->ntasks, sizeof(*order));
	size_t n = 0;

	if (!order)
		return err_set(err, -ENOMEM, "processes");
	for (size_t i = 0; i < c->ntasks && s.result == 0; i++)
		if (!c->tasks[i].frozen->zombie &&
		    has_one(&s, c->tasks[i].view.pid))
			order[n++] = (uint32_t)i;
	qsort_r(order, n, sizeof(*order), compare_tasks, &s);
	for (size_t i = 1; i < n; i++)
		if (compare_tasks(&order[i - 1], &order[i], &s) == 0 &&
		    s.result == 0)
			refuse(&c->tasks[order[i]], no,
			       "use threads, or fork without sharing", what);
	return s.result;
}

/*
 * Only once they stand still: a child of vfork shares its parent's memory
 * for a moment, which is none of our business.
 */
static int check_all_sharing(const struct collection *c, struct refusals *no,
			     struct err *err)
{
	static const struct {
		enum kcmp_kind kind;
		const char *what;
	} kinds[] = {
		{ KCMP_KIND_VM, "memory shared as a whole with another "
				"process (CLONE_VM)" },
		{ KCMP_KIND_FILES, "descriptors shared with another process "
				   "(CLONE_FILES)" },
		{ KCMP_KIND_FS, "current directory shared with another "
				"process (CLONE_FS)" },
		{ KCMP_KIND_SIGHAND, "signal handlers shared with another "
				     "process (CLONE_SIGHAND)" },
		{ KCMP_KIND_SYSVSEM, "semaphore undos shared with another "
				     "process (CLONE_SYSVSEM)" },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++)
		r = check_sharing(c, kinds[i].kind, kinds[i].what, no, err);
	return r;
}

int preflight_tree(const struct collection *c, pid_t init_pid,
		   const struct job_terminal *terminal, struct refusals *no,
		   struct err *err)
{
	struct ns_set job;
	int r;

	r = job_namespaces(c, init_pid, &job, err);
	for (size_t i = 0; r == 0 && i < c->ntasks; i++) {
		const struct collected_task *t = &c->tasks[i];

		check_state(c, t, terminal, no);
		if (t->frozen->zombie)
			continue;
		r = check_namespaces(c, t, &job, no, err);
		if (r == 0)
			r = check_threads(c, t, no, err);
		if (r < 0)
			return err_wrap(err, r, "process %d", t->view.ns_pid);
	}
	if (r == 0 && c->frozen)
		r = check_all_sharing(c, no, err);
	return r;
}
