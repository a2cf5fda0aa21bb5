// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The terminal that `jobcr run --pty` gives to a job: its state; and whom it,
 * or a pseudo terminal of the job's, controls.  The session it controls takes
 * it when it is made (src/engine/terminal.c), and its processes have it from
 * their birth.
 */
#include "resource/terminal.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/process.pb-c.h"
#include "images/tags.h"
#include "resource/pts.h"
#include "resource/resource.h"
#include "resource/terminal_state.h"
#include "util/cleanup.h"
#include "util/tty_input.h"

bool terminal_controls(const struct job_terminal *t, uint32_t tty_nr)
{
	dev_t dev = makedev((tty_nr >> 8) & 0xfff,
			    (tty_nr & 0xff) | ((tty_nr >> 12) & ~0xffu));
	struct stat st;

	return t && tty_nr && fstat(t->slave, &st) == 0 && st.st_rdev == dev;
}

/* As the worker sees them; 0: none. */
static void read_groups(const struct job_terminal *t, pid_t *ret_session,
			pid_t *ret_foreground)
{
	if (ioctl(t->master, TIOCGSID, ret_session) < 0)
		*ret_session = 0;
	if (ioctl(t->master, TIOCGPGRP, ret_foreground) < 0)
		*ret_foreground = 0;
}

static int read_state(const struct job_terminal *t, TerminalState *s,
		      struct termios2 *settings, uint8_t *input,
		      struct err *err)
{
	int exclusive = 0, r;
	bool stopped;

	r = terminal_state_read(t->slave, s, settings, err);
	if (r == 0 && ioctl(t->slave, TIOCGEXCL, &exclusive) < 0)
		r = err_sys(err, "settings");
	if (r < 0)
		return r;
	s->exclusive = exclusive != 0;
	s->input.data = input;
	r = t->input(t->arg, input, &s->input.len, &stopped, err);
	s->stopped = stopped;
	return r;
}

/* A session of the tree that a pseudo terminal of the job controls. */
struct controlled {
	uint32_t index;
	pid_t foreground; /* as the worker sees it; 0: none */
};

static bool find_controlled(const struct dump_ctx *ctx,
			    const struct task_view *task,
			    struct controlled *ret)
{
	const struct dump_engine *e = ctx->engine;
	uint32_t tty_nr = e->session_tty(e->arg, task->stat->sid);
	auto_close int master = -EBADF;

	if (!pts_by_number(tty_nr, &ret->index) ||
	    terminal_controls(ctx->options->terminal, tty_nr))
		return false;
	master = e->pty_master(e->arg, ret->index);
	if (master < 0)
		return false;
	if (ioctl(master, TIOCGPGRP, &ret->foreground) < 0)
		ret->foreground = 0;
	return true;
}

static void check_foreground(const struct dump_ctx *ctx,
			     const struct task_view *task, struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;
	struct controlled c;

	/* A running one may be about to choose another. */
	if (!task->leader || task->pid != task->stat->sid ||
	    !find_controlled(ctx, task, &c) || !c.foreground ||
	    e->ns_group(e->arg, c.foreground))
		return;
	refusals_add(no, task->ns_pid, task->stat->comm, -1,
		     "let the shell choose another",
		     "the foreground group of its terminal /dev/pts/%u has "
		     "ended",
		     c.index);
}

static int terminal_check(const struct dump_ctx *ctx,
			  const struct task_view *task, struct refusals *no,
			  struct err *err)
{
	const struct job_terminal *t = ctx->options->terminal;
	int discipline = N_TTY;

	(void)err;
	check_foreground(ctx, task, no);
	if (!t || task->pid != t->root)
		return 0;
	(void)ioctl(t->slave, TIOCGETD, &discipline);
	if (discipline != N_TTY)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "let it use the terminal as a terminal",
			     "its terminal has line discipline %d", discipline);
	if (terminal_is_locked(t->slave))
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "unlock them (TIOCSLCKTRMIOS)",
			     "settings of its terminal are locked");
	return 0;
}

/* What this process is to a pseudo terminal of the job. */
static int dump_controlled(const struct dump_ctx *ctx,
			   const struct task_view *task, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	TerminalRecord rec = TERMINAL_RECORD__INIT;
	struct controlled c;

	if (!find_controlled(ctx, task, &c))
		return 0;
	rec.pid = task->ns_pid;
	rec.leads = task->pid == task->stat->sid;
	rec.given_up = !task->stat->tty_nr;
	if (!rec.leads && !rec.given_up)
		return 0;
	if (rec.leads && c.foreground)
		rec.foreground = e->ns_group(e->arg, c.foreground);
	rec.index = c.index;
	rec.has_leads = rec.has_given_up = rec.has_foreground = 1;
	rec.has_index = 1;
	return img_put(ctx->out, TAG_TERMINAL, &rec.base, err);
}

/* Only what this process is to the job's own terminal; of most nothing. */
static int dump_own(const struct dump_ctx *ctx, const struct task_view *task,
		    struct err *err)
{
	const struct job_terminal *t = ctx->options->terminal;
	TerminalRecord rec = TERMINAL_RECORD__INIT;
	TerminalState state = TERMINAL_STATE__INIT;
	pid_t session = 0, foreground = 0;
	uint8_t input[TTY_INPUT_ROOM];
	struct termios2 settings;
	bool has;
	int r;

	if (!t)
		return 0;
	read_groups(t, &session, &foreground);
	has = terminal_controls(t, task->stat->tty_nr);
	rec.pid = task->ns_pid;
	rec.leads = has && task->pid == session;
	rec.given_up = !has && session && task->stat->sid == session;
	if (has && task->stat->pgid == foreground)
		rec.foreground = task->status->ns_pgid;
	if (session ? rec.leads : task->pid == t->root) {
		r = read_state(t, &state, &settings, input, err);
		if (r < 0)
			return r;
		rec.state = &state;
	}
	if (!rec.state && !rec.given_up && !rec.foreground)
		return 0;
	rec.has_leads = rec.has_given_up = rec.has_foreground = 1;
	return img_put(ctx->out, TAG_TERMINAL, &rec.base, err);
}

static int terminal_dump(const struct dump_ctx *ctx,
			 const struct task_view *task, struct err *err)
{
	int r = dump_controlled(ctx, task, err);

	return r < 0 ? r : dump_own(ctx, task, err);
}

/* In the process: its own terminal, by the name that every process has. */
static int control(struct restore_task *task, const char *what,
		   unsigned long request, int32_t number, struct err *err)
{
	static const char name[] = "/dev/tty";
	uint64_t at = remote_buffer(task->remote);
	int64_t fd, value;
	int r, end;

	r = remote_write(task->remote, at, name, sizeof(name), err);
	if (r == 0)
		r = remote_call(task->remote, name, &fd, err, __NR_openat,
				(uint64_t)AT_FDCWD, at, O_RDWR | O_NOCTTY, 0, 0,
				0);
	if (r < 0)
		return r;
	r = remote_write(task->remote, at, &number, sizeof(number), err);
	if (r == 0)
		r = remote_call(task->remote, what, &value, err, __NR_ioctl,
				(uint64_t)fd, request, at, 0, 0, 0);
	end = remote_call(task->remote, "close", &value, err, __NR_close,
			  (uint64_t)fd, 0, 0, 0, 0, 0);
	return r < 0 ? r : end;
}

static int terminal_restore(struct restore_ctx *ctx, struct restore_task *task,
			    struct restore_thread *thread,
			    const ProtobufCMessage *msg, struct err *err)
{
	const TerminalRecord *rec = (const TerminalRecord *)msg;
	int r = 0;

	(void)thread;
	if (ctx->terminal_slave < 0 && !rec->has_index)
		return err_set(err, -EBADMSG, "there is none");
	if (rec->given_up)
		return control(task, "TIOCNOTTY", TIOCNOTTY, 0, err);
	if (rec->foreground)
		r = control(task, "TIOCSPGRP", TIOCSPGRP, rec->foreground, err);
	if (r == 0 && rec->state && !rec->has_index)
		r = terminal_state_set(ctx->terminal_slave, rec->state, err);
	return r;
}

const struct resource_ops res_terminal = {
	.name = "terminal",
	.saved = "settings, size, session, foreground group, input not read",
	.tag = TAG_TERMINAL,
	.scope = SCOPE_TASK,
	.stage = STAGE_LATE,
	.check_task = terminal_check,
	.dump_task = terminal_dump,
	.restore = terminal_restore,
};
