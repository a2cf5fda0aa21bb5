// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System V shared memory, message queues and semaphores of the node: they are
 * not the job's alone and cannot have their ids elsewhere.  No
 * descriptor leads to them: what tells that a process uses one is its pid,
 * which the kernel keeps as that of the last (or first) user.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/kcmp.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/clock.h"

typedef unsigned long long seconds; /* since 1970 */

struct semaphores { /* a line of /proc/sysvipc/sem */
	int id;
	unsigned int mode, uid, gid, cuid, cgid;
	unsigned long count;
	seconds used;
};

/* When a process was started, rather too early than too late. */
static seconds started(const struct task_view *task)
{
	const uint64_t up = clock_ns(CLOCK_BOOTTIME) / NSEC_PER_SEC;
	const uint64_t at =
		task->stat->start_time / (uint64_t)sysconf(_SC_CLK_TCK);
	const uint64_t age = up > at ? up - at : 0;

	return clock_ns(CLOCK_REALTIME) / NSEC_PER_SEC - age - 2;
}

static void refuse(const struct task_view *task, struct refusals *no,
		   const char *what, int id)
{
	refusals_add(no, task->ns_pid, task->stat->comm, -1,
		     "run the job with an IPC namespace of its own "
		     "(--ipc=private, PrivateIPC)",
		     "it uses System V %s of the node (id %d)", what, id);
}

static void check_shm(const struct task_view *task, seconds since,
		      struct refusals *no)
{
	auto_fclose FILE *f = fopen("/proc/sysvipc/shm", "re");
	seconds attached, detached, changed;
	int id, creator, last;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line,
			   "%*d %d %*o %*u %d %d %*u %*u %*u %*u %*u "
			   "%llu %llu %llu",
			   &id, &creator, &last, &attached, &detached,
			   &changed) == 6 &&
		    (creator == task->pid || last == task->pid) &&
		    (attached >= since || detached >= since ||
		     changed >= since))
			refuse(task, no, "shared memory", id);
}

static void check_msg(const struct task_view *task, seconds since,
		      struct refusals *no)
{
	auto_fclose FILE *f = fopen("/proc/sysvipc/msg", "re");
	seconds sent, received;
	int id, sender, receiver;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line,
			   "%*d %d %*o %*u %*u %d %d %*u %*u %*u %*u "
			   "%llu %llu",
			   &id, &sender, &receiver, &sent, &received) == 5 &&
		    ((sender == task->pid && sent >= since) ||
		     (receiver == task->pid && received >= since)))
			refuse(task, no, "message queue", id);
}

static bool may_alter(const struct semaphores *s, const struct user_id *user)
{
	size_t i;

	if (user->uid == 0 || s->mode & 0002)
		return true;
	if (s->mode & 0200 && (s->uid == user->uid || s->cuid == user->uid))
		return true;
	if (!(s->mode & 0020))
		return false;
	for (i = 0; i < user->ngroups; i++)
		if (s->gid == user->groups[i] || s->cgid == user->groups[i])
			return true;
	return s->gid == user->gid || s->cgid == user->gid;
}

/* Who used one of them last: the task, a process that is dead, or others? */
static void last_users(const struct task_view *task, const struct semaphores *s,
		       bool *ret_task, bool *ret_dead)
{
	unsigned long i;

	for (i = 0; i < s->count; i++) {
		const int pid = semctl(s->id, (int)i, GETPID);
		char path[32];

		/* Never used, or the set was removed meanwhile. */
		if (pid <= 0)
			continue;
		*ret_task |= pid == task->pid;
		snprintf(path, sizeof(path), "/proc/%d", pid);
		*ret_dead |= access(path, F_OK) < 0;
	}
}

/*
 * What a list of semaphore undos holds cannot be read, and the kernel applies
 * it when the task is killed.  Threads make a list that may be empty; it is
 * so unless the task, or one that is dead and was perhaps of the same tree,
 * used a semaphore.
 */
static int check_sem(const struct dump_ctx *ctx, const struct task_view *task,
		     seconds since, struct refusals *no, struct err *err)
{
	auto_fclose FILE *f = fopen("/proc/sysvipc/sem", "re");
	struct semaphores s;
	char line[512];
	bool list;
	int r;

	r = kcmp_has_undos(task->pid, &list, err);
	if (r < 0)
		return r;
	while (f && fgets(line, sizeof(line), f)) {
		bool by_task = false, by_dead = false;

		if (sscanf(line, "%*d %d %o %lu %u %u %u %u %llu", &s.id,
			   &s.mode, &s.count, &s.uid, &s.gid, &s.cuid, &s.cgid,
			   &s.used) != 8 ||
		    s.used < since || !may_alter(&s, ctx->options->owner))
			continue;
		last_users(task, &s, &by_task, &by_dead);
		if (by_task)
			refuse(task, no,
			       list ? "semaphores, perhaps with "
				      "SEM_UNDO"
				    : "semaphores",
			       s.id);
		else if (list && by_dead)
			refuse(task, no,
			       "semaphores, perhaps: SEM_UNDO cannot "
			       "be ruled out",
			       s.id);
	}
	return 0;
}

static int sysv_ipc_check(const struct dump_ctx *ctx,
			  const struct task_view *task, struct refusals *no,
			  struct err *err)
{
	const seconds since = started(task);

	if (ctx->options->ipc_pid)
		return 0;
	check_shm(task, since, no);
	check_msg(task, since, no);
	return check_sem(ctx, task, since, no, err);
}

const struct resource_ops res_sysv_ipc = {
	.name = "System V IPC",
	.refused = "segments, semaphores, message queues of the node",
	.scope = SCOPE_TASK,
	.check_task = sysv_ipc_check,
};
