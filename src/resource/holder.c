// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define DEPTH_MAX 1000 /* of a tree of processes, when it is walked up */

/* A child that was born after a running tree was listed, or gone again. */
static bool is_newborn(const struct dump_ctx *ctx, pid_t pid)
{
	const struct dump_engine *e = ctx->engine;
	struct err ignored;

	for (int depth = 0; depth < DEPTH_MAX && pid > 1; depth++) {
		auto_close int proc = -EBADF;
		struct proc_stat st;

		if (proc_open(pid, 0, &proc, &ignored) < 0 ||
		    proc_read_stat(proc, &st, &ignored) < 0)
			return true;
		pid = st.ppid;
		if (e->ns_pid(e->arg, pid))
			return true;
	}
	return false;
}

static bool has_link(pid_t pid, const char *link)
{
	auto_close int proc = -EBADF;
	auto_free int *fds = NULL;
	struct err ignored;
	bool found = false;
	size_t count = 0;

	if (proc_open(pid, 0, &proc, &ignored) < 0 ||
	    proc_read_fds(proc, &fds, &count, &ignored) < 0)
		return false;
	for (size_t i = 0; i < count && !found; i++) {
		auto_free char *text = NULL;
		char name[32];

		snprintf(name, sizeof(name), "fd/%d", fds[i]);
		found = proc_read_link(proc, name, &text, &ignored) == 0 &&
			!strcmp(text, link);
	}
	return found;
}

/* Fifos are few: look through all processes for each. */
static pid_t find_by_path(const struct dump_ctx *ctx, const char *link)
{
	const struct dump_engine *e = ctx->engine;
	auto_closedir DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		pid_t pid = (pid_t)atoi(d->d_name);

		if (pid > 0 && pid != getpid() && !e->ns_pid(e->arg, pid) &&
		    has_link(pid, link))
			return pid;
	}
	return 0;
}

static pid_t if_outside(const struct dump_ctx *ctx,
			const struct task_view *task, pid_t pid)
{
	return pid && !task->leader && is_newborn(ctx, pid) ? 0 : pid;
}

pid_t holder_outside_link(const struct dump_ctx *ctx,
			  const struct task_view *task, const char *link)
{
	const struct dump_engine *e = ctx->engine;

	return if_outside(ctx, task, e->held_outside(e->arg, link));
}

pid_t holder_outside(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	if (fd->link[0] != '/')
		return holder_outside_link(ctx, fd->task, fd->link);
	return if_outside(ctx, fd->task, find_by_path(ctx, fd->link));
}

void holder_comm(pid_t pid, char *ret, size_t room)
{
	auto_close int proc = -EBADF;
	struct proc_stat st = { 0 };
	struct err ignored;

	if (proc_open(pid, 0, &proc, &ignored) < 0 ||
	    proc_read_stat(proc, &st, &ignored) < 0)
		st.comm[0] = '\0';
	snprintf(ret, room, "%s", st.comm);
}

void holder_name(pid_t pid, char *ret, size_t room)
{
	char comm[64];

	holder_comm(pid, comm, sizeof(comm));
	if (!*comm)
		snprintf(ret, room, "process %d", (int)pid);
	else
		snprintf(ret, room, "process %d (%s)", (int)pid, comm);
}

const char *holder_shares(bool unread)
{
	return unread ? "that, as its maps cannot be read, may be shared with"
		      : "shared with";
}
