/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shim/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/devpts.h"

/* Who takes no output for so long is not waited for any more. */
#define PATIENCE (5 * NSEC_PER_SEC)
/* More unread input than this waits with us; looked at again each so often. */
#define UNREAD_MAX 2048
#define LOOK_AGAIN (20 * NSEC_PER_SEC / 1000)

static void open_slave(struct terminal *t)
{
	t->slave = ioctl(t->master, TIOCGPTPEER,
			 O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

static int open_pair(pid_t init, uid_t uid, struct terminal *t, struct err *err)
{
	const int on = 1, off = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/dev/pts/ptmx", init);
	t->master = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (t->master < 0)
		return err_sys(err, "/dev/pts/ptmx");
	if (ioctl(t->master, TIOCSPTLCK, &off) < 0 ||
	    ioctl(t->master, TIOCPKT, &on) < 0)
		return err_sys(err, "terminal");
	open_slave(t);
	if (t->slave < 0)
		return err_sys(err, "the job's end of the terminal");
	if (fchown(t->slave, uid, (gid_t)-1) < 0)
		return err_sys(err, "owner of the terminal");
	return 0;
}

/* Kernels can be told not to have TIOCSTI. */
static void try_input(struct terminal *t)
{
	struct termios old, quiet;

	if (tcgetattr(t->slave, &old) < 0)
		return;
	quiet = old;
	quiet.c_lflag = 0;
	if (ioctl(t->slave, TCSETS, &quiet) < 0)
		return;
	t->can_copy = ioctl(t->slave, TIOCSTI, "x") == 0;
	(void)tcflush(t->slave, TCIFLUSH);
	(void)ioctl(t->slave, TCSETS, &old);
}

/* Settings of the terminal where it was asked for, as forkpty(3) does. */
static void be_like(struct terminal *t, int like)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct termios settings;

	if (like >= 0 && tcgetattr(like, &settings) == 0) {
		(void)ioctl(t->slave, TCSETS, &settings);
		(void)ioctl(like, TIOCGWINSZ, &size);
	}
	(void)ioctl(t->slave, TIOCSWINSZ, &size);
}

int terminal_new(int mnt_pidfd, pid_t init, uid_t uid, int like,
		 struct terminal **ret, struct err *err)
{
	struct terminal *t = calloc(1, sizeof(*t));
	int i, r;

	if (!t)
		return err_num(err, ENOMEM, "terminal");
	t->master = t->slave = -1;
	for (i = 0; i < TERMINAL_VIEWERS; i++)
		t->viewers[i].fd = -1;
	r = devpts_is_own(init) ? 0 : devpts_mount_in(mnt_pidfd, err);
	if (r == 0)
		r = open_pair(init, uid, t, err);
	if (r < 0) {
		terminal_free(t);
		return err_wrap(err, r, "a terminal for the job");
	}
	try_input(t);
	be_like(t, like);
	*ret = t;
	return 0;
}

void terminal_free(struct terminal *t)
{
	int i;

	if (!t)
		return;
	for (i = 0; i < TERMINAL_VIEWERS; i++)
		viewer_drop(&t->viewers[i]);
	cleanup_close(&t->slave);
	cleanup_close(&t->master);
	free(t);
}

static void keep(struct terminal *t, const uint8_t *data, size_t len)
{
	size_t at = t->total % TERMINAL_KEPT;
	size_t first = TERMINAL_KEPT - at < len ? TERMINAL_KEPT - at : len;

	memcpy(t->kept + at, data, first);
	memcpy(t->kept, data + first, len - first);
	t->total += len;
}

/* Packet mode: the first byte says what it is. */
static bool read_once(struct terminal *t)
{
	uint8_t buf[TERMINAL_DATA + 1];
	ssize_t n = read(t->master, buf, sizeof(buf));

	/* Its session has ended, and with it what we had open. */
	if (n < 0 && errno == EIO && t->slave >= 0) {
		close(t->slave);
		open_slave(t);
	}
	if (n <= 0)
		return false;
	if (buf[0] == TIOCPKT_DATA)
		keep(t, buf + 1, (size_t)n - 1);
	else if (buf[0] & TIOCPKT_STOP)
		t->stopped = true;
	else if (buf[0] & TIOCPKT_START)
		t->stopped = false;
	return true;
}

/* Should the job wait for somebody who types and is slow to look? */
static bool lags(const struct terminal *t, const struct viewer *v, uint64_t now)
{
	return v->fd >= 0 && !v->read_only &&
	       t->total - v->sent > TERMINAL_KEPT / 2 && v->since &&
	       now - v->since < PATIENCE;
}

static bool must_wait(const struct terminal *t, uint64_t now, uint64_t *ret_due)
{
	bool wait = false;
	int i;

	for (i = 0; i < TERMINAL_VIEWERS; i++) {
		const struct viewer *v = &t->viewers[i];

		if (!lags(t, v, now))
			continue;
		wait = true;
		if (!*ret_due || v->since + PATIENCE < *ret_due)
			*ret_due = v->since + PATIENCE;
	}
	return wait;
}

void terminal_drain(struct terminal *t)
{
	while (read_once(t))
		;
}

/* A reader that is behind gets what is left to be typed once it has read. */
static bool takes_input(const struct terminal *t)
{
	int unread = 0;

	return ioctl(t->slave, FIONREAD, &unread) < 0 || unread < UNREAD_MAX;
}

static void poll_viewer(struct terminal *t, struct viewer *v, bool hold,
			uint64_t now, struct pollfd *fd, uint64_t *ret_due)
{
	bool open = takes_input(t);

	*fd = (struct pollfd){ .fd = v->fd };
	if (v->fd < 0)
		return;
	if (v->sent < t->total)
		fd->events |= POLLOUT;
	if (v->typed && !hold && open)
		terminal_type(t, v);
	if (!v->typed && !hold && open)
		fd->events |= POLLIN;
	else if (!hold)
		*ret_due = now + LOOK_AGAIN;
	/* A hang-up would be told again and again. */
	if (!fd->events)
		fd->fd = -1;
}

void terminal_poll(struct terminal *t, bool hold, uint64_t now,
		   struct pollfd fds[TERMINAL_POLLED], uint64_t *ret_due)
{
	int i;

	*ret_due = 0;
	fds[0] = (struct pollfd){ t->master, POLLIN | POLLPRI, 0 };
	if (must_wait(t, now, ret_due) || t->slave < 0)
		fds[0].fd = -1;
	for (i = 0; i < TERMINAL_VIEWERS; i++)
		poll_viewer(t, &t->viewers[i], hold, now, &fds[1 + i], ret_due);
}

void terminal_serve(struct terminal *t, const struct pollfd *fds)
{
	uint64_t now = clock_monotonic_ns();
	int i;

	/* Not all there is: others want their turn. */
	if (fds[0].fd >= 0 && fds[0].revents)
		(void)read_once(t);
	for (i = 0; i < TERMINAL_VIEWERS; i++) {
		struct viewer *v = &t->viewers[i];

		if (v->fd < 0)
			continue;
		if (fds[1 + i].fd == v->fd && (fds[1 + i].revents & ~POLLOUT) &&
		    !viewer_typed(t, v))
			continue;
		viewer_send(t, v, now);
	}
}

bool terminal_finished(struct terminal *t, uint64_t now)
{
	uint64_t unused = 0;
	int i;

	cleanup_close(&t->slave);
	while (!must_wait(t, now, &unused) && read_once(t))
		for (i = 0; i < TERMINAL_VIEWERS; i++)
			viewer_send(t, &t->viewers[i], now);
	for (i = 0; i < TERMINAL_VIEWERS; i++) {
		struct viewer *v = &t->viewers[i];

		viewer_send(t, v, now);
		if (v->fd >= 0 && v->sent < t->total &&
		    now - v->since < PATIENCE)
			return false;
	}
	if (!t->gone_at)
		t->gone_at = now + PATIENCE;
	return !t->awaited || now >= t->gone_at;
}

int terminal_copy_input(struct terminal *t, uint8_t ret[TTY_INPUT_ROOM],
			size_t *ret_len, struct err *err)
{
	if (t->can_copy)
		return tty_input_copy(t->slave, ret, ret_len, err);
	return err_set(err, -ENOTSUP,
		       "this kernel does not let typed input be saved: allow "
		       "it (sysctl dev.tty.legacy_tiocsti=1)");
}
