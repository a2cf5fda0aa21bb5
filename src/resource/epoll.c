// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An epoll instance knows each file under the number it had when it was
 * added, and keeps it while the file is open under any other.  So at the
 * restore entries are added by a child of the worker that shares its memory
 * but has descriptors of its own: there every number is free to be used.
 *
 * A signalfd wakes those that wait for signals of the process that added it to
 * the epoll, whoever waits: so that process adds it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/kcmp.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "util/cleanup.h"

/* How an entry reports; the rest says what. */
#define HOW_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

#define CHILD_STACK 65536

/* Since Linux 6.9; younger than the headers that this is built on. */
struct busy_poll {
	uint32_t usecs;
	uint16_t budget;
	uint8_t prefer, pad;
};

#define GET_BUSY_POLL _IOR(0x8A, 0x02, struct busy_poll)
#define SET_BUSY_POLL _IOW(0x8A, 0x01, struct busy_poll)
#define USER_BUDGET   64u /* more takes a privilege */

static bool epoll_match(const struct fd_view *fd)
{
	return !strcmp(fd->link, "anon_inode:[eventpoll]");
}

struct entries {
	EpollEntry *list;
	size_t count;
};

static int add_entry(struct entries *all, const EpollEntry *entry,
		     struct err *err)
{
	EpollEntry *more =
		reallocarray(all->list, all->count + 1, sizeof(*more));

	if (!more)
		return err_num(err, ENOMEM, "entries");
	all->list = more;
	more[all->count++] = *entry;
	return 0;
}

/* "tfd: 5 events: 19 data: 5 ..." */
static int read_entries(const char *fdinfo, struct entries *all,
			struct err *err)
{
	const char *at = fdinfo;
	int r = 0;

	while (r == 0 && (at = strstr(at, "tfd:"))) {
		EpollEntry entry = EPOLL_ENTRY__INIT;
		unsigned long long data;

		if (sscanf(at, "tfd: %u events: %x data: %llx", &entry.fd,
			   &entry.events, &data) != 3)
			return err_set(err, -EIO, "fdinfo: %.60s", at);
		entry.data = data;
		r = add_entry(all, &entry, err);
		at += strlen("tfd:");
	}
	return r;
}

/* How many entries before this one have the same number. */
static uint32_t same_before(const struct entries *all, size_t i)
{
	uint32_t n = 0;

	for (size_t k = 0; k < i; k++)
		n += all->list[k].fd == all->list[i].fd;
	return n;
}

/* Which open files are meant (the numbers may be others' by now); 0: none. */
static int find_targets(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct entries *all, struct err *err)
{
	const struct dump_engine *e = ctx->engine;

	for (size_t i = 0; i < all->count; i++) {
		EpollEntry *entry = &all->list[i];
		int r = e->epoll_target(e->arg, fd->task, fd->fd,
					(int)entry->fd, same_before(all, i),
					&entry->object, err);

		if (r == -ENOENT)
			entry->object = 0;
		else if (r < 0)
			return err_wrap(err, r, "entry %u", entry->fd);
	}
	return 0;
}

/* Only by the number under which its process has it could it add it again. */
static bool is_strange_signalfd(const struct dump_ctx *ctx,
				const struct fd_view *fd,
				const EpollEntry *entry, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	char name[PATH_MAX], link[64] = "";
	auto_close int target = -EBADF;

	if (e->fd_object(e->arg, fd->task->ns_pid, (int)entry->fd) ==
		    entry->object &&
	    !fd->travels)
		return false;
	if (e->open_object(e->arg, entry->object, &target, err) < 0)
		return false;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", target);
	return readlink(name, link, sizeof(link) - 1) > 0 &&
	       !strcmp(link, "anon_inode:[signalfd]");
}

static void check_entry(const struct dump_ctx *ctx, const struct fd_view *fd,
			const EpollEntry *entry, struct refusals *no)
{
	const char *comm = fd->task->stat->comm;
	struct err unused;

	if (!entry->object)
		refusals_add(no, fd->task->ns_pid, comm, fd->fd,
			     "remove it with EPOLL_CTL_DEL before it is closed",
			     "epoll entry %u, a file that no descriptor of the "
			     "job has open",
			     entry->fd);
	else if (is_strange_signalfd(ctx, fd, entry, &unused))
		refusals_add(no, fd->task->ns_pid, comm, fd->fd,
			     "keep it open under the number it was added by",
			     "epoll entry %u, a signalfd that the process does "
			     "not have under that number",
			     entry->fd);
}

static int epoll_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct refusals *no, struct err *err)
{
	struct entries all = { 0 };
	int r;

	r = open_file_check(ctx, fd, no, err);
	/* A running job adds and closes: only a look at a frozen one counts. */
	if (r < 0 || !fd->task->leader)
		return r;
	r = read_entries(fd->fdinfo, &all, err);
	if (r == 0)
		r = find_targets(ctx, fd, &all, err);
	for (size_t i = 0; r == 0 && i < all.count; i++)
		check_entry(ctx, fd, &all.list[i], no);
	free(all.list);
	return r;
}

static int put_entries(const struct dump_ctx *ctx, EpollRecord *rec,
		       const struct entries *all, struct err *err)
{
	auto_free EpollEntry **list = calloc(all->count + 1, sizeof(*list));

	if (!list)
		return err_num(err, ENOMEM, "entries");
	for (size_t i = 0; i < all->count; i++) {
		if (!all->list[i].object)
			return err_set(err, -ENOTSUP,
				       "entry %u is open nowhere in the job",
				       all->list[i].fd);
		list[i] = &all->list[i];
	}
	rec->entries = list;
	rec->n_entries = all->count;
	return img_put(ctx->out, TAG_EPOLL, &rec->base, err);
}

static void fill_busy_poll(const struct fd_view *fd, EpollRecord *rec)
{
	struct busy_poll p = { 0 };

	if (ioctl(fd->own_fd, GET_BUSY_POLL, &p) < 0 ||
	    (!p.usecs && !p.budget && !p.prefer))
		return;
	rec->has_busy_poll_usecs = 1;
	rec->busy_poll_usecs = p.usecs;
	rec->has_busy_poll_budget = 1;
	rec->busy_poll_budget = p.budget;
	rec->has_prefer_busy_poll = 1;
	rec->prefer_busy_poll = p.prefer;
}

static int epoll_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct err *err)
{
	EpollRecord rec = EPOLL_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	struct entries all = { 0 };
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = read_entries(fd->fdinfo, &all, err);
	if (r == 0)
		r = find_targets(ctx, fd, &all, err);
	fill_busy_poll(fd, &rec);
	if (r == 0)
		r = put_entries(ctx, &rec, &all, err);
	free(all.list);
	return r;
}

/* More than a user may ask for is had by who is root only. */
static int set_busy_poll(const struct restore_ctx *ctx, const EpollRecord *rec,
			 int fd, struct err *err)
{
	const struct busy_poll p = {
		.usecs = rec->busy_poll_usecs,
		.budget = (uint16_t)rec->busy_poll_budget,
		.prefer = rec->prefer_busy_poll,
	};

	if (!rec->has_busy_poll_usecs)
		return 0;
	if (rec->busy_poll_budget > UINT16_MAX ||
	    (ctx->owner->uid && rec->busy_poll_budget > USER_BUDGET))
		return err_set(err, -EPERM, "a budget of %u packets",
			       rec->busy_poll_budget);
	return ioctl(fd, SET_BUSY_POLL, &p) < 0
		       ? err_sys(err, "busy poll (EPIOCSPARAMS)")
		       : 0;
}

static int epoll_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			 struct err *err)
{
	const EpollRecord *rec = (const EpollRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = epoll_create1(EPOLL_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, "epoll_create1");
	r = open_file_apply(fd, rec->open, err);
	if (r == 0)
		r = set_busy_poll(ctx, rec, fd, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

/* What the child works on, in memory that it shares. */
struct job {
	const EpollRecord *rec;
	const bool *leave;  /* by entry: it is added elsewhere */
	const int *targets; /* by entry */
	int epoll;
	uint32_t allowed; /* flags */
	size_t failed;    /* which entry */
	int error;
	const char *call;
};

static bool is_spent(const EpollEntry *entry)
{
	return (entry->events & EPOLLONESHOT) && !(entry->events & ~HOW_BITS);
}

static int fail(struct job *job, const char *call)
{
	job->error = errno;
	job->call = call;
	return -1;
}

/*
 * A one-shot entry that has fired is silent until it is armed again.  There
 * is no call for that: add it so that it fires, and take the event.  Where
 * nothing is ready it stays armed for errors and hang-ups, as the kernel
 * will have it.
 */
static int add_spent(struct job *job, const EpollEntry *entry)
{
	struct epoll_event event = {
		.events = (entry->events & job->allowed) | EPOLLIN | EPOLLOUT |
			  EPOLLPRI | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDHUP,
		.data.u64 = entry->data,
	};
	struct epoll_event fired;

	if (epoll_ctl(job->epoll, EPOLL_CTL_ADD, (int)entry->fd, &event) < 0)
		return errno == EEXIST ? 0 : fail(job, "EPOLL_CTL_ADD");
	if (epoll_wait(job->epoll, &fired, 1, 0) == 1)
		return 0;
	event.events = entry->events & job->allowed;
	if (epoll_ctl(job->epoll, EPOLL_CTL_MOD, (int)entry->fd, &event) < 0)
		return fail(job, "EPOLL_CTL_MOD");
	return 0;
}

static int add_one(struct job *job, const EpollEntry *entry, int target)
{
	struct epoll_event event = {
		.events = entry->events & job->allowed,
		.data.u64 = entry->data,
	};

	if (dup3(target, (int)entry->fd, O_CLOEXEC) < 0)
		return fail(job, "dup3");
	if (is_spent(entry))
		return add_spent(job, entry);
	/* Another holder of this epoll may have been here before. */
	if (epoll_ctl(job->epoll, EPOLL_CTL_ADD, (int)entry->fd, &event) < 0 &&
	    errno != EEXIST)
		return fail(job, "EPOLL_CTL_ADD");
	return 0;
}

/*
 * Spent entries first, when no event of another can be taken by mistake.
 * Numbers of entries overwrite ours: targets are taken aside before.
 */
static int add_all(void *arg)
{
	struct job *job = arg;
	const EpollRecord *rec = job->rec;

	for (int spent = 1; spent >= 0; spent--) {
		for (size_t i = 0; i < rec->n_entries; i++) {
			const EpollEntry *entry = rec->entries[i];

			job->failed = i;
			if (!job->leave[i] && is_spent(entry) == (bool)spent &&
			    add_one(job, entry, job->targets[i]) < 0)
				return 1;
		}
	}
	return 0;
}

static int run_child(struct job *job, struct err *err)
{
	auto_free uint8_t *stack = malloc(CHILD_STACK);
	int status;
	pid_t pid;

	if (!stack)
		return err_num(err, ENOMEM, "stack");
	job->error = 0;
	/* CLONE_VFORK: it has ended when this returns. */
	pid = clone(add_all, stack + CHILD_STACK,
		    CLONE_VM | CLONE_VFORK | SIGCHLD, job);
	if (pid < 0)
		return err_sys(err, "clone");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "waitpid");
	if (job->error)
		return err_num(err, job->error, "entry %u: %s",
			       job->rec->entries[job->failed]->fd, job->call);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(err, -EIO, "entries: child ended with %#x",
			       (unsigned int)status);
	return 0;
}

static uint32_t highest_number(const EpollRecord *rec)
{
	uint32_t max = 2;

	for (size_t i = 0; i < rec->n_entries; i++)
		if (rec->entries[i]->fd > max)
			max = rec->entries[i]->fd;
	return max;
}

/* Above all numbers that entries have, so that none is overwritten. */
static int take_aside(struct restore_ctx *ctx, struct job *job, int *targets,
		      struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const EpollRecord *rec = job->rec;
	int from = (int)highest_number(rec) + 1;

	if (from > (int)TASK_MAX_FDS)
		return err_set(err, -EBADMSG, "entry with number %d", from - 1);
	job->epoll = fcntl(e->get_fd(e->arg, rec->open->object),
			   F_DUPFD_CLOEXEC, from);
	if (job->epoll < 0)
		return err_sys(err, "duplicate");
	for (size_t i = 0; i < rec->n_entries; i++) {
		targets[i] = fcntl(e->get_fd(e->arg, rec->entries[i]->object),
				   F_DUPFD_CLOEXEC, from);
		if (targets[i] < 0)
			return err_sys(err, "entry %u: its file",
				       rec->entries[i]->fd);
	}
	return 0;
}

static void allow_high_numbers(struct rlimit *old)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, old) < 0)
		return;
	most = *old;
	most.rlim_cur = most.rlim_max;
	/* Too little of it shows when a descriptor is made. */
	(void)setrlimit(RLIMIT_NOFILE, &most);
}

static int add_entries(struct restore_ctx *ctx, const EpollRecord *rec,
		       const bool *leave, struct err *err)
{
	auto_free int *targets = calloc(rec->n_entries + 1, sizeof(*targets));
	struct job job = { .rec = rec,
			   .leave = leave,
			   .targets = targets,
			   .epoll = -1,
			   .allowed = ~0u };
	struct rlimit old;
	int r;

	if (!targets)
		return err_num(err, ENOMEM, "entries");
	/* To keep the machine awake takes a capability. */
	if (ctx->owner->uid)
		job.allowed &= ~(uint32_t)EPOLLWAKEUP;
	for (size_t i = 0; i < rec->n_entries; i++)
		targets[i] = -1;
	allow_high_numbers(&old);
	r = take_aside(ctx, &job, targets, err);
	if (r == 0)
		r = run_child(&job, err);
	for (size_t i = 0; i < rec->n_entries; i++)
		cleanup_close(&targets[i]);
	cleanup_close(&job.epoll);
	/* Back to what it was, which is always allowed. */
	(void)setrlimit(RLIMIT_NOFILE, &old);
	return r;
}

/*
 * By the first process that has both; the next ones find it there.  A spent
 * entry waits for errors only, which a signalfd never has.
 */
static int add_signalfd(struct restore_ctx *ctx, struct restore_task *task,
			int epoll, const EpollEntry *entry, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const uint64_t at = remote_buffer(task->remote);
	const uint64_t args[6] = { (uint64_t)epoll, EPOLL_CTL_ADD, entry->fd,
				   at };
	struct epoll_event event = {
		.events = entry->events & ~(uint32_t)EPOLLWAKEUP,
		.data.u64 = entry->data,
	};
	int64_t value;
	int same, r;

	r = kcmp_files(task->pid, (int)entry->fd, getpid(),
		       e->get_fd(e->arg, entry->object), &same, err);
	/* It has another file there, or none. */
	if (r < 0 || same != 0)
		return 0;
	r = remote_write(task->remote, at, &event, sizeof(event), err);
	if (r == 0)
		r = remote_syscall(task->remote, __NR_epoll_ctl, args, &value,
				   err);
	if (r < 0)
		return r;
	return value < 0 && value != -EEXIST
		       ? err_num(err, (int)value, "entry %u: EPOLL_CTL_ADD",
				 entry->fd)
		       : 0;
}

static int epoll_late(struct restore_ctx *ctx, struct restore_task *task,
		      int fd, const ProtobufCMessage *msg, struct err *err)
{
	const EpollRecord *rec = (const EpollRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_free bool *signals = calloc(rec->n_entries + 1, sizeof(*signals));
	int r = 0;

	if (!signals)
		return err_num(err, ENOMEM, "entries");
	for (size_t i = 0; i < rec->n_entries; i++)
		signals[i] = e->find(e->arg, TAG_SIGNALFD,
				     rec->entries[i]->object) != NULL;
	if (rec->n_entries)
		r = add_entries(ctx, rec, signals, err);
	for (size_t i = 0; r == 0 && i < rec->n_entries; i++)
		if (signals[i])
			r = add_signalfd(ctx, task, fd, rec->entries[i], err);
	if (r < 0)
		return r;
	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_epoll = {
	.name = "epoll",
	.saved = "what is watched, for what, in which state",
	.refused = "files that are closed but still watched, signalfds that a "
		   "process has under another number now",
	.changes = "edges (EPOLLET) are told once more where there is something "
		   "to do",
	.tag = TAG_EPOLL,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = epoll_match,
	.check_file = epoll_check,
	.dump_file = epoll_dump,
	.restore_file = epoll_restore,
	.late_file = epoll_late,
};
