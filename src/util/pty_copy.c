/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output goes back in through the slave, which passes it on as it is.  What
 * was written is on its way to the other end for a moment: a poll makes the
 * kernel bring it there.
 */
#include "util/pty_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PUT_PATIENCE_MS 1000

int pty_events(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? 0 : p.revents;
}

static int set_packet(int master, int on, struct err *err)
{
	return ioctl(master, TIOCPKT, &on) < 0 ? err_sys(err, "packet mode")
					       : 0;
}

/* Never more than there is: nobody else reads, and so this never waits. */
static int read_output(int master, struct pty_copy *c, struct err *err)
{
	int there;
	ssize_t n;

	for (;;) {
		(void)pty_events(master, POLLIN);
		if (ioctl(master, FIONREAD, &there) < 0)
			return err_sys(err, "output");
		if (!there)
			return 0;
		if ((size_t)there > PTY_OUTPUT_ROOM - c->output_len)
			return err_set(err, -EFBIG, "output");
		n = read(master, c->output + c->output_len, (size_t)there);
		if (n <= 0)
			return err_sys(err, "output");
		c->output_len += (uint32_t)n;
	}
}

static int write_output(int slave, const uint8_t *data, size_t len,
			struct err *err)
{
	struct pollfd p = { .fd = slave, .events = POLLOUT };
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = write(slave, data + done, len - done);
		if (n < 0 && errno == EAGAIN &&
		    poll(&p, 1, PUT_PATIENCE_MS) == 1)
			continue;
		if (n < 0)
			return err_sys(err, "put output back");
		done += (size_t)n;
	}
	return 0;
}

static bool takes(int slave)
{
	return pty_events(slave, POLLOUT) & POLLOUT;
}

static int put_plain(int slave, const struct termios *t, const uint8_t *data,
		     size_t len, struct err *err)
{
	struct termios plain = *t;
	struct err later;
	int r, back = 0;

	/* What ctrl-S has stopped starts when keys lose that meaning. */
	plain.c_iflag &= ~(tcflag_t)IXON;
	plain.c_oflag = 0;
	if (ioctl(slave, TCSETS, &plain) < 0)
		return err_sys(err, "terminal settings");
	r = write_output(slave, data, len, err);
	if (ioctl(slave, TCSETS, t) < 0)
		back = err_sys(r < 0 ? &later : err, "terminal settings");
	return r < 0 ? r : back;
}

/* Nobody reads meanwhile, and there is room: who takes nothing is stopped. */
int pty_put_output(int slave, const uint8_t *data, size_t len, struct err *err)
{
	bool stopped = !takes(slave), by_flow;
	struct termios t;
	int r;

	if (!len)
		return 0;
	if (ioctl(slave, TCGETS, &t) < 0 ||
	    (stopped && ioctl(slave, TCXONC, TCOON) < 0))
		return err_sys(err, "terminal settings");
	by_flow = stopped && takes(slave);
	r = put_plain(slave, &t, data, len, err);
	if (r < 0 || !stopped)
		return r;
	if (!by_flow)
		return tty_stop_output(slave, err);
	return ioctl(slave, TCXONC, TCOOFF) < 0 ? err_sys(err, "tcflow") : 0;
}

/* Kernels can be told not to have TIOCSTI, or are without being told. */
static bool is_allowed(void)
{
	auto_close int fd =
		open("/proc/sys/dev/tty/legacy_tiocsti", O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

/* Can what was typed be put back?  Tried where nobody is. */
static int try_input(struct err *err)
{
	auto_close int master =
		open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	auto_close int slave = -EBADF;
	const int off = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &off) < 0)
		return err_sys(err, "/dev/ptmx");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(err, "a terminal to try");
	if (ioctl(slave, TIOCSTI, "x") < 0)
		return err_set(err, -ENOTSUP,
			       "this kernel does not let typed input be saved: "
			       "allow it (sysctl dev.tty.legacy_tiocsti=1)");
	return 0;
}

/* Nothing can be taken that could not be put back. */
static int look(int master, int slave, struct pty_copy *c, struct err *err)
{
	int exclusive = 0, unread = 0;

	/* Echo of what is on its way is output. */
	(void)pty_events(slave, POLLIN);
	(void)pty_events(master, POLLIN);
	if (ioctl(slave, TIOCGEXCL, &exclusive) < 0 ||
	    ioctl(master, FIONREAD, &unread) < 0)
		return err_sys(err, "terminal");
	if (unread > PTY_OUTPUT_LIMIT)
		return err_set(err, -ENOTSUP,
			       "%d bytes of its output are not read yet, more "
			       "than %d",
			       unread, PTY_OUTPUT_LIMIT);
	c->exclusive = exclusive != 0;
	return 0;
}

static int copy_output(int master, int slave, struct pty_copy *c,
		       struct err *err)
{
	int r = read_output(master, c, err);
	struct err later;
	int back;

	c->stopped = !takes(slave);
	back = pty_put_output(slave, c->output, c->output_len,
			      r < 0 ? &later : err);
	return r < 0 ? r : back;
}

static int copy_both(int master, int slave, struct pty_copy *c, struct err *err)
{
	size_t len = 0;
	int r = tty_input_copy(slave, c->input, &len, err);

	c->input_len = (uint32_t)len;
	return r < 0 ? r : copy_output(master, slave, c, err);
}

/* A master in packet mode would be told of settings that change. */
static int copy_unpacked(int master, int slave, struct pty_copy *c,
			 struct err *err)
{
	int packet = 0, r, back;
	struct err later;

	if (ioctl(master, TIOCGPKT, &packet) < 0)
		return err_sys(err, "packet mode");
	r = packet ? set_packet(master, 0, err) : 0;
	if (r < 0)
		return r;
	r = copy_both(master, slave, c, err);
	back = packet ? set_packet(master, 1, r < 0 ? &later : err) : 0;
	return r < 0 ? r : back;
}

static int open_slave(int master, struct err *err)
{
	const int on = 1, off = 0;
	int locked = 0, fd;

	if (ioctl(master, TIOCGPTLCK, &locked) < 0 ||
	    (locked && ioctl(master, TIOCSPTLCK, &off) < 0))
		return err_sys(err, "lock");
	fd = ioctl(master, TIOCGPTPEER,
		   O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		(void)err_sys(err, "the other end");
	if (locked)
		(void)ioctl(master, TIOCSPTLCK, &on);
	return fd < 0 ? err->code : fd;
}

int pty_copy(int master, struct pty_copy *ret, struct err *err)
{
	auto_close int slave = -EBADF;
	int r = is_allowed() ? 0 : try_input(err);

	ret->input_len = ret->output_len = 0;
	if (r < 0)
		return r;
	slave = open_slave(master, err);
	if (slave < 0)
		return slave;
	r = look(master, slave, ret, err);
	return r < 0 ? r : copy_unpacked(master, slave, ret, err);
}

int pty_copy_file(int master, struct err *err)
{
	auto_free struct pty_copy *c = calloc(1, sizeof(*c));
	auto_close int fd = memfd_create("jobcr-pty", MFD_CLOEXEC);
	int r;

	if (!c || fd < 0)
		return err_sys(err, "room for a copy");
	r = pty_copy(master, c, err);
	if (r == 0)
		r = write_all(fd, c, sizeof(*c), err);
	return r < 0 ? r : take_fd(&fd);
}
