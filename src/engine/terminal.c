/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal of a job that had one: another of the new supervisor's.  The
 * session that it controls takes it right after its birth, before it has
 * children: these have it from their parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "engine/building.h"
#include "images/process.pb-c.h"
#include "images/tags.h"

static bool had_terminal(const struct building *b)
{
	const struct meta *meta = b->plan->meta;

	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_TERMINAL)
			return true;
	return false;
}

/* While it controls nobody: opening /dev/tty takes one whom it controls. */
static int open_files(struct building *b, struct err *err)
{
	const struct resource_ops *ops = resource_by_tag(TAG_TTY);
	const struct meta *meta = b->plan->meta;
	int r = 0;

	for (size_t i = 0; i < meta->count && r == 0; i++)
		if (meta->entries[i].tag == TAG_TTY)
			r = ops->restore_file(&b->ctx, meta->entries[i].msg,
					      err);
	return r < 0 ? err_wrap(err, r, "%s", ops->name) : 0;
}

int build_terminal(struct building *b, struct err *err)
{
	int r;

	if (!had_terminal(b))
		return 0;
	if (!b->args->terminal)
		return err_set(err, -ENOTSUP,
			       "the job had a terminal, and here is none");
	r = b->args->terminal(b->args->arg, &b->ctx.terminal_slave,
			      &b->ctx.terminal_master, err);
	return r < 0 ? r : open_files(b, err);
}

static bool leads(const struct building *b, const struct puppet *p)
{
	const struct plan_record *rec;
	size_t count;

	rec = plan_find(b->plan, TAG_TERMINAL, (uint32_t)p->task.ns_pid,
			&count);
	return count && ((const TerminalRecord *)rec->msg)->leads;
}

int terminal_take(struct building *b, struct puppet *p, struct err *err)
{
	uint64_t at = remote_buffer(p->task.remote);
	int64_t fd, value;
	char path[32];
	unsigned int number;
	int r;

	if (!leads(b, p))
		return 0;
	if (ioctl(b->ctx.terminal_master, TIOCGPTN, &number) < 0)
		return err_sys(err, "number of the terminal");
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
