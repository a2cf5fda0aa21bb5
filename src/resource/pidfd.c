// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors of processes: of those of the tree, and of such that ended and
 * were reaped.  For a dead one a process is made that ends in the same way, as
 * soon as it has been opened as often as the old one was.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/tags.h"
#include "kernel/limits.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#define PIDFD_OF_THREAD O_EXCL
#define P_BY_PIDFD      3
#define DEAD            (-1) /* as fdinfo says */

/* Linux 6.15; the first size of the struct. */
#define INFO_EXIT 8u
struct exit_info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t status; /* as wait(2) has it */
};
#define GET_INFO _IOWR(0xff, 11, struct exit_info)
_Static_assert(sizeof(struct exit_info) == 64, "struct pidfd_info, version 0");

static bool pidfd_match(const struct fd_view *fd)
{
	return !strcmp(fd->link, "anon_inode:[pidfd]") ||
	       !strncmp(fd->link, "pidfd:", 6);
}

/* 0: of a process that this worker cannot see. */
static int read_pid(const char *fdinfo, int *ret, struct err *err)
{
	const char *line = strstr(fdinfo, "\nPid:");

	if (!line || sscanf(line, "\nPid: %d", ret) != 1)
		return err_set(err, -ENOTSUP,
			       "this kernel does not tell whose pidfd it is");
	return 0;
}

/* Threads of a restored process come after its descriptors. */
static bool is_lone_thread(const struct fd_view *fd, pid_t pid)
{
	struct proc_status st = { 0 };
	auto_close int proc_fd = -EBADF;
	struct err gone;
	bool lone;

	if (!(fd->flags & PIDFD_OF_THREAD) ||
	    proc_open(pid, 0, &proc_fd, &gone) < 0 ||
	    proc_read_status(proc_fd, &st, &gone) < 0)
		return false;
	lone = st.tgid != pid;
	proc_status_done(&st);
	return lone;
}

static int pidfd_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct refusals *no, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const char *comm = fd->task->stat->comm;
	int pid, r = read_pid(fd->fdinfo, &pid, err);

	if (r < 0)
		return r;
	if (pid != DEAD && !e->ns_pid(e->arg, pid))
		refusals_add(no, fd->task->ns_pid, comm, fd->fd, "close it",
			     "pidfd of process %d outside the job", pid);
	else if (pid != DEAD && is_lone_thread(fd, pid))
		refusals_add(no, fd->task->ns_pid, comm, fd->fd, "close it",
			     "pidfd of a single thread, %d",
			     (int)e->ns_pid(e->arg, pid));
	return open_file_check(ctx, fd, no, err);
}

/* Kernels that do not keep how it ended: as if by exit(0). */
static int32_t read_status(int fd)
{
	struct exit_info info = { .mask = INFO_EXIT };

	if (ioctl(fd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT))
		return 0;
	return info.status;
}

static int put_dead(const struct dump_ctx *ctx, const struct fd_view *fd,
		    uint32_t *ret, struct err *err)
{
	DeadProcessRecord rec = DEAD_PROCESS_RECORD__INIT;
	bool first;
	int r = object_get(ctx->objects, OBJECT_DEAD, fd->stat->st_dev,
			   fd->stat->st_ino, 0, ret, &first, err);

	if (r < 0 || !first)
		return r;
	rec.object = *ret;
	rec.status = (uint32_t)read_status(fd->own_fd);
	return img_put(ctx->out, TAG_DEAD_PROCESS, &rec.base, err);
}

static int pidfd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	PidfdRecord rec = PIDFD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int pid, r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = read_pid(fd->fdinfo, &pid, err);
	if (r < 0)
		return r;
	if (pid == DEAD) {
		rec.has_dead = 1;
		r = put_dead(ctx, fd, &rec.dead, err);
	} else {
		rec.has_process = 1;
		rec.process = e->ns_pid(e->arg, pid);
		if (!rec.process)
			r = err_set(err, -ENOTSUP,
				    "pidfd of process %d outside the job", pid);
	}
	return r < 0 ? r : img_put(ctx->out, TAG_PIDFD, &rec.base, err);
}

/* Waits until it is told to, or whoever wants it is no more. */
static void end_like(uint32_t status)
{
	const struct rlimit none = { 0 };
	int sig = status & 0x7f;
	sigset_t go, all;

	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigfillset(&all);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(1);
	(void)setrlimit(RLIMIT_CORE, &none);
	while (sigwaitinfo(&go, NULL) < 0)
		;
	if (!sig)
		_exit((int)(status >> 8 & 0xff));
	(void)signal(sig, SIG_DFL);
	(void)sigprocmask(SIG_UNBLOCK, &all, NULL);
	(void)raise(sig);
	_exit(1);
}

static bool only_stops(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN ||
	       sig == SIGTTOU;
}

static int pidfd_open_again(pid_t pid, unsigned int flags, struct err *err)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, flags);

	return fd < 0 ? err_sys(err, "pidfd of process %d", (int)pid) : fd;
}

/*
 * A child in the job's pid namespace: it is the job that must know it.  It
 * begins with all signals blocked.
 */
static int fork_inside(int init_proc_fd, pid_t *ret, struct err *err)
{
	auto_close int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	auto_close int job =
		openat(init_proc_fd, "ns/pid", O_RDONLY | O_CLOEXEC);
	sigset_t all, before;
	int failed;

	if (own < 0 || job < 0 || setns(job, CLONE_NEWPID) < 0)
		return err_sys(err, "enter the job's pid namespace");
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	*ret = fork();
	if (*ret == 0)
		return 0;
	failed = *ret < 0 ? errno : 0;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (setns(own, CLONE_NEWPID) < 0)
		return err_sys(err, "leave the job's pid namespace");
	return failed ? err_num(err, failed, "fork") : 0;
}

/* A process each, until all are open: no more than a program can have open. */
static int count_dead(struct restore_ctx *ctx, struct err *err)
{
	uint64_t most;
	int r = limits_hard(ctx->init_proc_fd, "Max open files", &most, err);

	if (r < 0 || ctx->dead_processes++ < most)
		return r;
	return err_set(err, -E2BIG,
		       "more than %llu of processes that have ended: raise "
		       "LimitNOFILE of slurmd (or of whoever restores; "
		       "ulimit -n)",
		       (unsigned long long)most);
}

static int dead_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			struct err *err)
{
	const DeadProcessRecord *rec = (const DeadProcessRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	pid_t child = -1;
	int fd, r;

	if (only_stops(rec->status & 0x7f))
		return err_set(err, -EBADMSG, "no process ends with status %#x",
			       rec->status);
	r = count_dead(ctx, err);
	if (r < 0)
		return r;
	r = fork_inside(ctx->init_proc_fd, &child, err);
	if (child == 0)
		end_like(rec->status);
	if (r < 0)
		return r;
	fd = pidfd_open_again(child, 0, err);
	if (fd < 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
		return fd;
	}
	return e->set_fd(e->arg, rec->object, fd, err);
}

/* All that look at it are open. */
static int dead_end(struct restore_ctx *ctx, struct restore_task *task,
		    struct restore_thread *thread, const ProtobufCMessage *msg,
		    struct err *err)
{
	const DeadProcessRecord *rec = (const DeadProcessRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, rec->object);
	siginfo_t info;

	if (syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) < 0)
		return err_sys(err, "end a process");
	while (waitid(P_BY_PIDFD, (id_t)fd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return err_sys(err, "wait for its end");
	return 0;
}

/* Of one that is about to end, whose descriptor is there. */
static int pid_of_dead(const struct restore_engine *e, uint32_t object,
		       pid_t *ret, struct err *err)
{
	int fd = e->get_fd(e->arg, object), r;
	auto_free char *text = NULL;
	char path[64];
	size_t len;

	if (!e->find(e->arg, TAG_DEAD_PROCESS, object))
		return err_set(err, -EBADMSG, "there is no dead process %u",
			       object);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	r = read_file_at(AT_FDCWD, path, 4096, &text, &len, err);
	return r < 0 ? r : read_pid(text, ret, err);
}

static int pidfd_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			 struct err *err)
{
	const PidfdRecord *rec = (const PidfdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	pid_t pid = 0;
	int r = 0;

	if (rec->has_dead)
		r = pid_of_dead(e, rec->dead, &pid, err);
	else
		pid = e->task_pid(e->arg, rec->process);
	if (r < 0)
		return r;
	if (pid <= 0)
		return err_set(err, -EBADMSG, "there is no process %d",
			       rec->process);
	fd = pidfd_open_again(pid, rec->open->flags & PIDFD_OF_THREAD, err);
	if (fd < 0)
		return fd;
	r = open_file_apply(fd, rec->open, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

static int pidfd_late(struct restore_ctx *ctx, struct restore_task *task,
		      int fd, const ProtobufCMessage *msg, struct err *err)
{
	const PidfdRecord *rec = (const PidfdRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_pidfd = {
	.name = "pidfd",
	.saved = "processes of the job, and dead ones with how they ended",
	.refused = "processes outside the job, threads",
	.changes = "that a dead process dumped core",
	.tag = TAG_PIDFD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = pidfd_match,
	.check_file = pidfd_check,
	.dump_file = pidfd_dump,
	.restore_file = pidfd_restore,
	.late_file = pidfd_late,
};

const struct resource_ops res_dead_process = {
	.name = "pidfd",
	.tag = TAG_DEAD_PROCESS,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = dead_restore,
	.stage2 = STAGE_EARLY,
	.restore2 = dead_end,
};
