/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal of a job that had one: another of the new supervisor's; and
 * pseudo terminals of its own.  The session that one controls takes it right
 * after its birth, before it has children: these have it from their parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/building.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"
#include "util/devpts.h"

static bool had_terminal(const struct building *b)
{
	const struct meta *meta = b->plan->meta;

	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_TERMINAL &&
		    !((const TerminalRecord *)meta->entries[i].msg)->has_index)
			return true;
	return false;
}

/* What controls nobody: opening /dev/tty takes one whom it controls. */
static int open_files(struct building *b, uint32_t tag, struct err *err)
{
	const struct resource_ops *ops = resource_by_tag(tag);
	const struct meta *meta = b->plan->meta;
	int r = 0;

	for (size_t i = 0; i < meta->count && r == 0; i++)
		if (meta->entries[i].tag == tag)
			r = ops->restore_file(&b->ctx, meta->entries[i].msg,
					      err);
	return r < 0 ? err_wrap(err, r, "%s", ops->name) : 0;
}

/* A child, since we are of several threads. */
static int mount_devpts(struct building *b, struct err *err)
{
	auto_close int mounts =
		openat(b->ctx.init_proc_fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
	struct err late = { 0 };
	int status = 0;
	pid_t pid;

	if (mounts < 0)
		return err_sys(err, "init: its mount namespace");
	pid = fork();
	if (pid == 0)
		_exit(setns(mounts, CLONE_NEWNS) < 0 || devpts_mount(&late) < 0
			      ? errno
			      : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_sys(err, "mount a devpts");
	return status ? err_num(err,
				WIFEXITED(status) ? WEXITSTATUS(status) : EIO,
				"mount a devpts for the job")
		      : 0;
}

/*
 * Numbers are those that the job knows: it must be alone with them, also if
 * its standard files are terminals here.
 */
static int make_ptys(struct building *b, struct err *err)
{
	size_t count;
	int r = 0;

	(void)plan_kind(b->plan, TAG_PTY, &count);
	if ((b->plan->part->own_pts || count) &&
	    !devpts_is_own(b->args->init_pid))
		r = mount_devpts(b, err);
	if (r == 0)
		r = open_files(b, TAG_PTY, err);
	return r < 0 ? r : open_files(b, TAG_PTY_MASTER, err);
}

int build_terminals(struct building *b, struct err *err)
{
	int r = 0;

	if (had_terminal(b) && !b->args->terminal)
		return err_set(err, -ENOTSUP,
			       "the job had a terminal, and here is none");
	if (had_terminal(b))
		r = b->args->terminal(b->args->arg, &b->ctx.terminal_slave,
				      &b->ctx.terminal_master, err);
	if (r == 0)
		r = make_ptys(b, err);
	return r < 0 ? r : open_files(b, TAG_TTY, err);
}

static int take_index(struct puppet *p, uint32_t number, struct err *err)
{
	uint64_t at = remote_buffer(p->task.remote);
	int64_t fd, value;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/dev/pts/%u", number);
	r = puppet_enter(p, &p->task.threads[0], err);
	if (r == 0)
		r = remote_write(p->task.remote, at, path, sizeof(path), err);
	if (r == 0)
		r = puppet_call(p, path, &fd, err, __NR_openat,
				(uint64_t)AT_FDCWD, at, O_RDWR | O_NOCTTY, 0, 0,
				0);
	if (r == 0)
		r = puppet_call(p, "TIOCSCTTY", &value, err, __NR_ioctl,
				(uint64_t)fd, TIOCSCTTY, 0, 0, 0, 0);
	return r < 0 ? r
		     : puppet_call(p, "close", &value, err, __NR_close,
				   (uint64_t)fd, 0, 0, 0, 0, 0);
}

/* At most one controls its session, whatever else it has a say in. */
static const TerminalRecord *led_by(const struct building *b,
				    const struct puppet *p)
{
	const struct plan_record *rec;
	size_t count;

	rec = plan_find(b->plan, TAG_TERMINAL, (uint32_t)p->task.ns_pid,
			&count);
	for (size_t i = 0; i < count; i++)
		if (((const TerminalRecord *)rec[i].msg)->leads)
			return (const TerminalRecord *)rec[i].msg;
	return NULL;
}

int terminal_take(struct building *b, struct puppet *p, struct err *err)
{
	const TerminalRecord *rec = led_by(b, p);
	unsigned int number;

	if (!rec)
		return 0;
	if (rec->has_index)
		return take_index(p, rec->index, err);
	if (ioctl(b->ctx.terminal_master, TIOCGPTN, &number) < 0)
		return err_sys(err, "number of the terminal");
	return take_index(p, number, err);
}
