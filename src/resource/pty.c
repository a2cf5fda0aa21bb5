// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pseudo terminals of which the job has both ends: the terminal itself with
 * its master; slaves are in tty.c.  Numbers are as they were, since the job
 * has a devpts of its own.  What is in one and not read can only be read by
 * taking it out, which is done by one whose end is the job's (util/pty_copy.h).
 *
 * A slave that is closed by its last holder hangs up the master until it is
 * opened again; before it was opened for the first time there is no telling
 * what was typed.
 */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "images/limits.h"
#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/pts.h"
#include "resource/terminal_state.h"
#include "util/cleanup.h"
#include "util/pty_copy.h"
#include "util/devpts.h"

#define MODE 0777

static bool master_match(const struct fd_view *fd)
{
	return fd->fd >= 0 && S_ISCHR(fd->stat->st_mode) &&
	       fd->stat->st_rdev == makedev(5, 2) && !(fd->flags & O_PATH);
}

struct finding {
	const char *what, *remedy;
};

static const char read_it[] = "let the program read it";

/* What passes, or shows only when nothing moves. */
static struct finding look_frozen(int master)
{
	auto_close int slave = -EBADF;
	int locked = 0, discipline = N_TTY, unread = 0;
	struct finding f = { 0 };

	if (ioctl(master, TIOCGPTLCK, &locked) == 0 && !locked)
		slave = ioctl(master, TIOCGPTPEER,
			      O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (slave >= 0 && ioctl(slave, TIOCGETD, &discipline) == 0 &&
	    discipline != N_TTY)
		f = (struct finding){ "a line discipline of its own",
				      "let it use the terminal as a terminal" };
	if (slave >= 0 && ioctl(slave, FIONREAD, &unread) == 0 &&
	    unread > TTY_INPUT_LIMIT)
		f = (struct finding){ "much typed input that is not read yet",
				      read_it };
	(void)pty_events(master, POLLIN);
	if (ioctl(master, FIONREAD, &unread) == 0 && unread > PTY_OUTPUT_LIMIT)
		f = (struct finding){ "much output that is not read yet",
				      read_it };
	if (pty_events(master, POLLPRI) & POLLPRI)
		f = (struct finding){ "a change of its state that its master, "
				      "in packet mode, has not read yet",
				      read_it };
	if (!(pty_events(master, POLLOUT) & POLLOUT))
		f = (struct finding){ "a master that is held back, or more "
				      "typed input than it takes",
				      read_it };
	return f;
}

static struct finding look(const struct dump_ctx *ctx, const struct fd_view *fd)
{
	static const char once[] = "let a process open the other end";
	const struct dump_engine *e = ctx->engine;
	struct stat st = { 0 };
	int discipline = N_TTY;
	uint32_t index;

	if (!pts_by_master(ctx, fd->own_fd, &index, &st))
		return (struct finding){
			"which is not the job's own",
			"jobcr run --pty or --detach, and sbatch, give the job "
			"its own"
		};
	if (index > PTY_MAX_INDEX)
		return (struct finding){ "with too high a number",
					 "use fewer at a time" };
	(void)ioctl(fd->own_fd, TIOCGETD, &discipline);
	if (discipline != N_TTY)
		return (struct finding){ "a line discipline of its own",
					 "do not set one" };
	if (terminal_is_locked(fd->own_fd))
		return (struct finding){ "settings that are locked",
					 "unlock them (TIOCSLCKTRMIOS)" };
	if (st.st_uid != ctx->options->owner_uid || st.st_gid != DEVPTS_GID)
		return (struct finding){ "a file that is not its user's",
					 "do not give it to others" };
	if ((fd->flags & O_ACCMODE) != O_RDWR)
		return (struct finding){ "a master that cannot read and write",
					 "open it for both" };
	if (!(pty_events(fd->own_fd, POLLIN) & POLLHUP) &&
	    !e->inode_open(e->arg, st.st_dev, st.st_ino))
		return (struct finding){ "whose other end nobody has opened",
					 once };
	return fd->task->leader ? look_frozen(fd->own_fd)
				: (struct finding){ 0 };
}

static int master_check(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct refusals *no, struct err *err)
{
	struct finding f = look(ctx, fd);
	unsigned int index;

	if (!f.what)
		return open_file_check(ctx, fd, no, err);
	if (ioctl(fd->own_fd, TIOCGPTN, &index) < 0)
		return err_sys(err, "number of a pseudo terminal");
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
		     f.remedy, "pseudo terminal /dev/pts/%u: %s", index,
		     f.what);
	return 0;
}

static int fill_flags(const struct dump_ctx *ctx, const struct fd_view *fd,
		      PtyRecord *rec, struct err *err)
{
	int locked, packet;
	struct stat st;

	if (!pts_by_master(ctx, fd->own_fd, &rec->index, &st) ||
	    ioctl(fd->own_fd, TIOCGPTLCK, &locked) < 0 ||
	    ioctl(fd->own_fd, TIOCGPKT, &packet) < 0)
		return err_sys(err, "state");
	rec->mode = st.st_mode & MODE;
	rec->by_ptmx = fd->stat->st_dev != st.st_dev;
	rec->locked = locked != 0;
	rec->packet = packet != 0;
	rec->has_mode = rec->has_by_ptmx = 1;
	rec->has_locked = rec->has_packet = 1;
	return 0;
}

static int put_pty(const struct dump_ctx *ctx, const struct fd_view *fd,
		   PtyRecord *rec, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_free struct pty_copy *copy = calloc(1, sizeof(*copy));
	auto_close int file = -EBADF;
	TerminalState state = TERMINAL_STATE__INIT;
	struct termios2 settings;
	int r;

	if (!copy)
		return err_num(err, ENOMEM, "contents");
	r = e->copy_out(e->arg, COPY_PTY, fd->own_fd, &file, err);
	if (r == 0 && pread(file, copy, sizeof(*copy), 0) != sizeof(*copy))
		r = err_sys(err, "copy of a pseudo terminal");
	if (r == 0)
		r = terminal_state_read(fd->own_fd, &state, &settings, err);
	if (r == 0 && (copy->input_len > sizeof(copy->input) ||
		       copy->output_len > sizeof(copy->output)))
		r = err_set(err, -EBADMSG, "contents");
	if (r < 0)
		return r;
	state.exclusive = copy->exclusive;
	state.stopped = copy->stopped;
	state.input.data = copy->input;
	state.input.len = copy->input_len;
	rec->state = &state;
	rec->has_output = 1;
	rec->output.data = copy->output;
	rec->output.len = copy->output_len;
	return img_put(ctx->out, TAG_PTY, &rec->base, err);
}

static int master_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct err *err)
{
	PtyMasterRecord rec = PTY_MASTER_RECORD__INIT;
	PtyRecord pty = PTY_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int exclusive = 0, r;

	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0 && ioctl(fd->own_fd, TIOCGEXCL, &exclusive) < 0)
		r = err_sys(err, "exclusive use");
	if (r == 0)
		r = fill_flags(ctx, fd, &pty, err);
	if (r == 0)
		r = pts_object(ctx, pty.index, &pty.pty, NULL, err);
	if (r == 0)
		r = put_pty(ctx, fd, &pty, err);
	if (r < 0)
		return r;
	open.position = 0;
	rec.open = &open;
	rec.pty = pty.pty;
	rec.exclusive = exclusive != 0;
	return img_put(ctx->out, TAG_PTY_MASTER, &rec.base, err);
}

/*
 * The lowest free number is next: take them all until it comes, of which the
 * plan has seen that it is at most PTY_MAX_INDEX.
 */
static int open_index(const struct restore_ctx *ctx, const char *name,
		      uint32_t index, struct err *err)
{
	auto_free int *others = calloc(PTY_MAX_INDEX + 1, sizeof(*others));
	unsigned int number = 0;
	size_t count = 0;
	int fd = -1, r = 0;

	if (!others)
		return err_num(err, ENOMEM, "pseudo terminals");
	while (r == 0 && fd < 0) {
		fd = openat(ctx->root_fd, name, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, TIOCGPTN, &number) < 0) {
			r = err_sys(err, "%s", name);
		} else if (number > index) {
			r = err_set(err, -EBUSY, "/dev/pts/%u is in use here",
				    index);
		} else if (number < index) {
			others[count++] = fd;
			fd = -1;
		}
	}
	while (count)
		close(others[--count]);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int set_pty(const struct restore_ctx *ctx, const PtyRecord *rec,
		   int master, struct err *err)
{
	auto_close int slave = -EBADF;
	const int on = 1;
	int r;

	slave = ioctl(master, TIOCGPTPEER,
		      O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (slave < 0)
		return err_sys(err, "the other end");
	if (fchown(slave, ctx->owner->uid, (gid_t)-1) < 0 ||
	    (rec->has_mode && fchmod(slave, rec->mode & MODE) < 0))
		return err_sys(err, "give it to its user");
	if (rec->output.len > PTY_MAX_OUTPUT)
		return err_set(err, -EBADMSG, "%zu bytes of output",
			       rec->output.len);
	r = rec->has_output ? pty_put_output(slave, rec->output.data,
					     rec->output.len, err)
			    : 0;
	if (r == 0 && rec->state)
		r = terminal_state_set(slave, rec->state, err);
	if (r == 0 && rec->packet && ioctl(master, TIOCPKT, &on) < 0)
		r = err_sys(err, "packet mode");
	return r;
}

static int pty_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
		       struct err *err)
{
	const PtyRecord *rec = (const PtyRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int master = -EBADF;
	const int off = 0;
	int r;

	master = open_index(ctx, rec->by_ptmx ? "dev/ptmx" : "dev/pts/ptmx",
			    rec->index, err);
	if (master < 0)
		return master;
	if (ioctl(master, TIOCSPTLCK, &off) < 0)
		return err_sys(err, "lock");
	r = set_pty(ctx, rec, master, err);
	if (r < 0)
		return err_wrap(err, r, "/dev/pts/%u", rec->index);
	return e->set_fd(e->arg, rec->pty, take_fd(&master), err);
}

/* When nobody opens one any more. */
static int pty_finish(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	const PtyRecord *rec = (const PtyRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int null = -EBADF;
	const int on = 1;
	int master = e->get_fd(e->arg, rec->pty);

	(void)task;
	(void)thread;
	if (rec->locked && ioctl(master, TIOCSPTLCK, &on) < 0)
		return err_sys(err, "lock");
	if (!rec->hung_up)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup3(null, master, O_CLOEXEC) < 0)
		return err_sys(err, "close a master");
	return 0;
}

static int master_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			  struct err *err)
{
	const PtyMasterRecord *rec = (const PtyMasterRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd =
		fcntl(e->get_fd(e->arg, rec->pty), F_DUPFD_CLOEXEC, 3);
	unsigned int number;
	int r;

	if (fd < 0 || ioctl(fd, TIOCGPTN, &number) < 0)
		return err_set(err, -EBADMSG, "object %u is no master",
			       rec->pty);
	if (rec->exclusive && ioctl(fd, TIOCEXCL) < 0)
		return err_sys(err, "exclusive use");
	r = open_file_apply(fd, rec->open, err);
	return r < 0 ? r
		     : e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

static int master_late(struct restore_ctx *ctx, struct restore_task *task,
		       int fd, const ProtobufCMessage *msg, struct err *err)
{
	const PtyMasterRecord *rec = (const PtyMasterRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_pty = {
	.name = "pty",
	.saved = "pseudo terminals: number, state, what is not read",
	.refused = "those of the node; never opened; much that is not read",
	.tag = TAG_PTY,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = pty_restore,
	.stage2 = STAGE_LAST,
	.restore2 = pty_finish,
};

const struct resource_ops res_pty_master = {
	.name = "pty",
	.tag = TAG_PTY_MASTER,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = master_match,
	.check_file = master_check,
	.dump_file = master_dump,
	.restore_file = master_restore,
	.late_file = master_late,
};
