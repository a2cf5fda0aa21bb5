// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The terminal that `jobcr run --pty` gives to a job: its state, and whom it
 * controls.  The session it controls takes it when it is made
 * (src/engine/terminal.c), and its processes have it from their birth.
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
#include "resource/resource.h"
#include "util/tty_input.h"

#define ALL_CC sizeof(((struct termios2 *)NULL)->c_cc)

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

static bool is_locked(int fd)
{
	struct termios lock;
	const uint8_t *p = (const uint8_t *)&lock;

	memset(&lock, 0, sizeof(lock));
	if (ioctl(fd, TIOCGLCKTRMIOS, &lock) < 0)
		return false;
	for (size_t i = 0; i < sizeof(lock); i++)
		if (p[i])
			return true;
	return false;
}

static int terminal_check(const struct dump_ctx *ctx,
			  const struct task_view *task, struct refusals *no,
			  struct err *err)
{
	const struct job_terminal *t = ctx->options->terminal;
	int discipline = N_TTY;

	(void)err;
	if (!t || task->pid != t->root)
		return 0;
	(void)ioctl(t->slave, TIOCGETD, &discipline);
	if (discipline != N_TTY)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "let it use the terminal as a terminal",
			     "its terminal has line discipline %d", discipline);
	if (is_locked(t->slave))
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "unlock them (TIOCSLCKTRMIOS)",
			     "settings of its terminal are locked");
	return 0;
}

static int read_state(const struct job_terminal *t, TerminalState *s,
		      struct termios2 *ret, uint8_t *input, struct err *err)
{
	struct winsize size;
	int exclusive = 0;
	bool stopped;
	int r;

	if (ioctl(t->slave, TCGETS2, ret) < 0 ||
	    ioctl(t->slave, TIOCGWINSZ, &size) < 0 ||
	    ioctl(t->slave, TIOCGEXCL, &exclusive) < 0)
		return err_sys(err, "settings");
	s->iflag = ret->c_iflag;
	s->oflag = ret->c_oflag;
	s->cflag = ret->c_cflag;
	s->lflag = ret->c_lflag;
	s->ispeed = ret->c_ispeed;
	s->ospeed = ret->c_ospeed;
	s->cc.data = ret->c_cc;
	s->cc.len = ALL_CC;
	s->rows = size.ws_row;
	s->columns = size.ws_col;
	s->xpixel = size.ws_xpixel;
	s->ypixel = size.ws_ypixel;
	s->exclusive = exclusive != 0;
	s->input.data = input;
	r = t->input(t->arg, input, &s->input.len, &stopped, err);
	s->stopped = stopped;
	return r;
}

/* Only what this process is to the terminal; of most nothing. */
static int terminal_dump(const struct dump_ctx *ctx,
			 const struct task_view *task, struct err *err)
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

/* As if ctrl-S were typed; tcflow(3) needs no key. */
static int stop_output(int fd, const struct termios2 *t, struct err *err)
{
	struct termios2 now = *t;
	const char key = 's';
	int r = 0;

	if (!(t->c_iflag & IXON))
		return ioctl(fd, TCXONC, TCOOFF) < 0 ? err_sys(err, "tcflow")
						     : 0;
	now.c_lflag = 0;
	memset(now.c_cc, 0, sizeof(now.c_cc));
	now.c_cc[VSTOP] = (cc_t)key;
	if (ioctl(fd, TCSETS2, &now) < 0 || ioctl(fd, TIOCSTI, &key) < 0)
		r = err_sys(err, "hold output back");
	if (ioctl(fd, TCSETS2, t) < 0)
		r = err_sys(err, "settings");
	return r;
}

static int set_state(int fd, const TerminalState *s, struct err *err)
{
	struct winsize size = { (uint16_t)s->rows, (uint16_t)s->columns,
				(uint16_t)s->xpixel, (uint16_t)s->ypixel };
	struct termios2 t = {
		.c_iflag = s->iflag,
		.c_oflag = s->oflag,
		.c_cflag = s->cflag,
		.c_lflag = s->lflag,
		.c_ispeed = s->ispeed,
		.c_ospeed = s->ospeed,
	};
	int r = 0;

	if (s->cc.len != ALL_CC)
		return err_set(err, -EBADMSG, "%zu special characters",
			       s->cc.len);
	memcpy(t.c_cc, s->cc.data, ALL_CC);
	if (ioctl(fd, TIOCSWINSZ, &size) < 0)
		return err_sys(err, "size");
	/* A line discipline that is stopped takes no input. */
	if (ioctl(fd, TCSETS2, &t) < 0)
		return err_sys(err, "settings");
	r = tty_input_put(fd, s->input.data, s->input.len, err);
	if (r == 0 && s->stopped)
		r = stop_output(fd, &t, err);
	if (r == 0 && s->exclusive && ioctl(fd, TIOCEXCL) < 0)
		r = err_sys(err, "exclusive use");
	return r;
}

static int terminal_restore(struct restore_ctx *ctx, struct restore_task *task,
			    struct restore_thread *thread,
			    const ProtobufCMessage *msg, struct err *err)
{
	const TerminalRecord *rec = (const TerminalRecord *)msg;
	int r = 0;

	(void)thread;
	if (ctx->terminal_slave < 0)
		return err_set(err, -EBADMSG, "there is none");
	if (rec->given_up)
		return control(task, "TIOCNOTTY", TIOCNOTTY, 0, err);
	if (rec->foreground)
		r = control(task, "TIOCSPGRP", TIOCSPGRP, rec->foreground, err);
	if (r == 0 && rec->state)
		r = set_state(ctx->terminal_slave, rec->state, err);
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
