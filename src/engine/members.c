/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/members.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/limits.h"
#include "util/cleanup.h"
#include "util/io.h"

struct pid_list {
	pid_t *v;
	size_t count, room;
};

static int list_add(struct pid_list *l, pid_t pid, struct err *err)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->v[i] == pid)
			return 0;
	if (l->count >= TREE_MAX_TASKS)
		return err_set(err, -E2BIG, "more than %u processes",
			       TREE_MAX_TASKS);
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		pid_t *v = reallocarray(l->v, room, sizeof(*v));

		if (!v)
			return err_num(err, ENOMEM, "list of processes");
		l->v = v;
		l->room = room;
	}
	l->v[l->count++] = pid;
	return 0;
}

/* Children belong to the thread that forked them: ask each. */
static int add_children(pid_t pid, struct pid_list *l, struct err *err)
{
	auto_close int proc_fd = -EBADF;
	auto_free pid_t *tids = NULL;
	struct err gone;
	size_t ntids;

	if (proc_open(pid, 0, &proc_fd, &gone) < 0 ||
	    proc_read_threads(proc_fd, &tids, &ntids, &gone) < 0)
		return 0;
	for (size_t i = 0; i < ntids; i++) {
		auto_close int task_fd = -EBADF;
		auto_free pid_t *pids = NULL;
		size_t n = 0;
		int r;

		if (proc_open(pid, tids[i], &task_fd, &gone) < 0)
			continue;
		r = proc_read_children(task_fd, &pids, &n, &gone);
		if (r == -ENOENT && faccessat(task_fd, "stat", F_OK, 0) == 0)
			return err_set(err, -ENOTSUP,
				       "this kernel does not tell children "
				       "(CONFIG_PROC_CHILDREN)");
		for (size_t k = 0; k < n; k++) {
			r = list_add(l, pids[k], err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int pid_namespace(pid_t pid, struct stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, ret);
}

int members_ended(struct err *err)
{
	return err_set(err, -ESRCH,
		       "the job has ended: none of its processes is left");
}

/* Every process of the system that is in the pid namespace of init. */
static int add_namespace(pid_t init_pid, struct pid_list *l, struct err *err)
{
	auto_closedir DIR *dir = opendir("/proc");
	struct stat own, other;
	struct dirent *e;

	if (!dir)
		return err_sys(err, "/proc");
	if (pid_namespace(init_pid, &own) < 0)
		return errno == ENOENT ?
			       members_ended(err) :
			       err_sys(err, "init of the job, process %d",
				       (int)init_pid);
	while ((e = readdir(dir))) {
		uint64_t pid;
		int r;

		if (parse_u64(e->d_name, INT_MAX, &pid) < 0 ||
		    (pid_t)pid == init_pid ||
		    pid_namespace((pid_t)pid, &other) < 0 ||
		    other.st_ino != own.st_ino || other.st_dev != own.st_dev)
			continue;
		r = list_add(l, (pid_t)pid, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int members_list(const struct tree_members *members, bool all, pid_t **ret,
		 size_t *ret_count, struct err *err)
{
	struct pid_list l = { 0 };
	int r;

	if (!members->init_pid)
		r = list_add(&l, members->root_pid, err);
	else
		r = add_children(members->init_pid, &l, err);
	if (r == 0 && members->init_pid && all)
		r = add_namespace(members->init_pid, &l, err);
	/* The list grows while it is walked: this is the whole recursion. */
	for (size_t i = 0; i < l.count && r == 0; i++)
		r = add_children(l.v[i], &l, err);
	if (r < 0) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*ret_count = l.count;
	return 0;
}

bool members_over(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

int members_open(pid_t pid, struct frozen_task *ret, struct err *err)
{
	struct frozen_task t = { .pid = pid, .proc_fd = -EBADF };
	int r;

	t.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (t.pidfd < 0)
		return err_sys(err, "process %d", (int)pid);
	r = proc_open(pid, 0, &t.proc_fd, err);
	if (r == 0)
		r = proc_read_stat(t.proc_fd, &t.stat, err);
	/* Still there: so the directory is no other process of that pid. */
	if (r == 0 && syscall(SYS_pidfd_send_signal, t.pidfd, 0, NULL, 0) < 0)
		r = err_sys(err, "process %d", (int)pid);
	if (r < 0) {
		close(t.pidfd);
		if (t.proc_fd >= 0)
			close(t.proc_fd);
		return r == -ENOENT ? err_num(err, ESRCH, "%d", (int)pid) : r;
	}
	t.zombie = members_over(t.pidfd);
	*ret = t;
	return 0;
}

/* Steps up to a process whose parent is none of the tree. */
static size_t depth(const struct frozen_tree *tree, size_t i)
{
	size_t steps = 0;
	pid_t up = tree->tasks[i].stat.ppid;

	for (size_t k = 0; k < tree->ntasks && steps < tree->ntasks; k++) {
		if (tree->tasks[k].pid != up)
			continue;
		up = tree->tasks[k].stat.ppid;
		steps++;
		k = (size_t)-1;
	}
	return steps;
}

struct place_in_tree {
	size_t depth, at;
	uint64_t start;
	pid_t pid;
};

static int compare_places(const void *a, const void *b)
{
	const struct place_in_tree *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->pid < y->pid ? -1 : 1;
}

int members_sort(struct frozen_tree *tree, struct err *err)
{
	auto_free struct place_in_tree *p =
		calloc(tree->ntasks + 1, sizeof(*p));
	auto_free struct frozen_task *old =
		calloc(tree->ntasks + 1, sizeof(*old));

	if (!p || !old)
		return err_num(err, ENOMEM, "order of processes");
	for (size_t i = 0; i < tree->ntasks; i++)
		p[i] = (struct place_in_tree){
			.depth = depth(tree, i),
			.at = i,
			.start = tree->tasks[i].stat.start_time,
			.pid = tree->tasks[i].pid,
		};
	qsort(p, tree->ntasks, sizeof(*p), compare_places);
	if (tree->ntasks)
		memcpy(old, tree->tasks, tree->ntasks * sizeof(*old));
	for (size_t i = 0; i < tree->ntasks; i++)
		tree->tasks[i] = old[p[i].at];
	return 0;
}
