/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/far_writers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/far_writes.h"
#include "kernel/proc.h"
#include "util/cleanup.h"

#define LEVELS 2 /* of pid namespaces in which we know the tree's numbers */

static bool is_member(const struct frozen_tree *tree, uint64_t tid)
{
	for (size_t i = 0; i < tree->ntasks; i++)
		for (size_t k = 0; k < tree->tasks[i].nthreads; k++)
			if ((uint64_t)tree->tasks[i].threads[k].tid == tid)
				return true;
	return false;
}

/* Could it be one of the tree's, in whatever pid namespace? */
static bool is_named(const struct frozen_tree *tree, pid_t number)
{
	for (size_t i = 0; i < tree->ntasks; i++) {
		const struct frozen_task *t = &tree->tasks[i];

		if (t->status.ns_levels > LEVELS)
			return true;
		for (size_t k = 0; k < t->nthreads; k++)
			if (t->threads[k].tid == number ||
			    t->threads[k].ns_tid == number)
				return true;
	}
	return false;
}

/* .../PID/mem or .../PID/task/TID/mem */
static bool is_memory(const struct frozen_tree *tree, const struct far_write *w)
{
	char path[64], link[256], *number;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%u/fd/%u", (uint32_t)w->tid,
		       (uint32_t)w->to);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 5)
		return false;
	link[n] = '\0';
	if (strcmp(link + n - 4, "/mem") != 0)
		return false;
	link[n - 4] = '\0';
	number = strrchr(link, '/');
	return number && is_named(tree, (pid_t)atoi(number + 1));
}

/* In a pid namespace that is not below ours numbers have another meaning. */
static bool writes_to(const struct frozen_tree *tree, const struct far_write *w)
{
	if (!far_write_is_vm(w))
		return w->tid && is_memory(tree, w);
	return !w->tid || is_named(tree, (pid_t)w->to);
}

/* Or the thread, if it has ended by now. */
static pid_t process_of(pid_t tid)
{
	auto_close int proc_fd = -EBADF;
	struct proc_status st = { .tgid = tid };
	struct err unused;

	if (proc_open(tid, 0, &proc_fd, &unused) == 0 &&
	    proc_read_status(proc_fd, &st, &unused) == 0)
		proc_status_done(&st);
	return st.tgid ? st.tgid : tid;
}

pid_t far_writers_find(int fd, const struct frozen_tree *tree)
{
	auto_free struct far_write *v = NULL;
	size_t count = 0;

	if (fd < 0)
		return 0;
	if (far_writes_read(fd, &v, &count) < 0)
		return FAR_WRITER_UNNAMED;
	for (size_t i = 0; i < count; i++)
		if (!is_member(tree, v[i].tid) && writes_to(tree, &v[i]))
			return v[i].tid ? process_of((pid_t)v[i].tid)
					: FAR_WRITER_UNNAMED;
	return 0;
}
