// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Open files on the terminal that `jobcr run --pty` gives to a job, and on
 * slaves of the job's pseudo terminals.  They are opened anew on the terminal
 * that the new supervisor has made, or by the new master (pty.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "images/limits.h"
#include "images/process.pb-c.h"
#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/pts.h"
#include "resource/resource.h"
#include "resource/terminal.h"
#include "util/cleanup.h"

#define PTS_FIRST 136
#define PTS_LAST  143

/* /dev/tty: whatever terminal controlled the one who opened it. */
static bool is_dev_tty(const struct stat *st)
{
	return st->st_rdev == makedev(5, 0);
}

static bool is_pts(const struct stat *st)
{
	return major(st->st_rdev) >= PTS_FIRST &&
	       major(st->st_rdev) <= PTS_LAST;
}

/* Terminals of the node are those of whoever started the job: see pipe.c. */
static bool tty_match(const struct fd_view *fd)
{
	struct stat here;

	if (!S_ISCHR(fd->stat->st_mode) || fd->fd < 0)
		return false;
	if (is_dev_tty(fd->stat))
		return true;
	return is_pts(fd->stat) &&
	       (stat("/dev/pts", &here) < 0 || here.st_dev != fd->stat->st_dev);
}

static bool is_ours(const struct job_terminal *t, const struct fd_view *fd)
{
	struct stat st;
	unsigned int dev;

	if (!t || fstat(t->slave, &st) < 0)
		return false;
	if (!is_dev_tty(fd->stat))
		return st.st_rdev == fd->stat->st_rdev &&
		       st.st_dev == fd->stat->st_dev;
	if (fd->flags & O_PATH)
		return true;
	return ioctl(fd->own_fd, TIOCGDEV, &dev) == 0 &&
	       makedev((dev >> 8) & 0xfff,
		       (dev & 0xff) | ((dev >> 12) & ~0xffu)) == st.st_rdev;
}

/* Of a pseudo terminal whose master is in the job, or is closed. */
static bool is_slave(const struct dump_ctx *ctx, const struct fd_view *fd,
		     uint32_t *ret_index, bool *ret_hung_up)
{
	const struct dump_engine *e = ctx->engine;
	auto_close int master = -EBADF;

	if (!pts_by_file(ctx, fd, ret_index, ret_hung_up))
		return false;
	if (*ret_hung_up)
		return *ret_index <= PTY_MAX_INDEX;
	master = e->pty_master(e->arg, *ret_index);
	return master >= 0;
}

static int tty_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct refusals *no, struct err *err)
{
	uint32_t index;
	bool hung_up;

	if (is_ours(ctx->options->terminal, fd) ||
	    is_slave(ctx, fd, &index, &hung_up))
		return open_file_check(ctx, fd, no, err);
	refusals_add(
		no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
		"run its other end (script, screen, expect) inside the job; "
		"jobcr run --pty gives the job a terminal that is saved",
		"terminal %s, whose other end is not in the job", fd->link);
	return 0;
}

/* Nobody has the other end any more, so it is not saved there. */
static int dump_hung_up(const struct dump_ctx *ctx, uint32_t pty,
			uint32_t index, struct err *err)
{
	PtyRecord rec = PTY_RECORD__INIT;

	rec.pty = pty;
	rec.index = index;
	rec.has_hung_up = rec.hung_up = 1;
	return img_put(ctx->out, TAG_PTY, &rec.base, err);
}

static int find_pty(const struct dump_ctx *ctx, const struct fd_view *fd,
		    TtyRecord *rec, struct err *err)
{
	bool hung_up, first = false;
	uint32_t index;
	int r;

	if (is_ours(ctx->options->terminal, fd))
		return 0;
	if (!is_slave(ctx, fd, &index, &hung_up))
		return err_set(err, -ENOTSUP, "its other end is not there");
	r = pts_object(ctx, index, &rec->pty, &first, err);
	rec->has_pty = 1;
	return r == 0 && hung_up && first
		       ? dump_hung_up(ctx, rec->pty, index, err)
		       : r;
}

static int tty_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		    struct err *err)
{
	TtyRecord rec = TTY_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int r = open_file_fill(ctx, fd, &open, err);

	if (r < 0)
		return r;
	open.position = 0;
	rec.open = &open;
	rec.dev_tty = is_dev_tty(fd->stat);
	r = find_pty(ctx, fd, &rec, err);
	return r < 0 ? r : img_put(ctx->out, TAG_TTY, &rec.base, err);
}

/*
 * Only one whom the terminal controls can open /dev/tty.  A child with our
 * descriptors leads a session for a moment, before the job's has it.
 */
static int open_dev_tty(const struct restore_ctx *ctx, int slave, int flags)
{
	int fd;

	signal(SIGHUP, SIG_IGN);
	if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return -errno;
	fd = openat(ctx->root_fd, "dev/tty", flags | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	(void)ioctl(slave, TIOCNOTTY);
	return fd;
}

/* The number of the descriptor comes by a pipe. */
static int dev_tty(const struct restore_ctx *ctx, int slave,
		   const OpenFile *file, struct err *err)
{
	int ends[2], fd = -EIO;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		fd = open_dev_tty(ctx, slave, open_file_flags(file));
		(void)!write(ends[1], &fd, sizeof(fd));
		_exit(0);
	}
	if (pid > 0) {
		(void)waitpid(pid, NULL, 0);
		if (read(ends[0], &fd, sizeof(fd)) != sizeof(fd))
			fd = -EIO;
	}
	close(ends[0]);
	close(ends[1]);
	return fd < 0 ? err_num(err, fd, "/dev/tty") : fd;
}

/*
 * Of whatever the image means, only a master of a pseudo terminal has another
 * end.
 */
static int open_slave(const struct restore_ctx *ctx, const TtyRecord *rec,
		      struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd;

	if (!rec->has_pty && ctx->terminal_slave < 0)
		return err_set(err, -EBADMSG, "the job had no terminal");
	fd = rec->has_pty ? ioctl(e->get_fd(e->arg, rec->pty), TIOCGPTPEER,
				  O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
			  : fcntl(ctx->terminal_slave, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_sys(err, "open a terminal") : fd;
}

static int tty_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
		       struct err *err)
{
	const TtyRecord *rec = (const TtyRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int slave = open_slave(ctx, rec, err);
	int fd, r;

	if (slave < 0)
		return slave;
	if (!rec->dev_tty) {
		fd = open_file_again(slave, rec->open, err);
		return fd < 0 ? fd
			      : e->set_fd(e->arg, rec->open->object, fd, err);
	}
	fd = dev_tty(ctx, slave, rec->open, err);
	if (fd < 0)
		return fd;
	r = open_file_apply(fd, rec->open, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return e->set_fd(e->arg, rec->open->object, fd, err);
}

static int tty_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		    const ProtobufCMessage *msg, struct err *err)
{
	const TtyRecord *rec = (const TtyRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_tty = {
	.name = "tty",
	.saved = "files open on terminals of the job's own",
	.refused = "other terminals, unless standard files",
	.tag = TAG_TTY,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = tty_match,
	.check_file = tty_check,
	.dump_file = tty_dump,
	.restore_file = tty_restore,
	.late_file = tty_late,
};
