/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Those who look at a job's terminal.  Their end of the socket is in the hand
 * of a user, who may do anything with it: every call here is one that does
 * not wait, and what comes is not trusted.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include "shim/terminal.h"
#include "util/cleanup.h"
#include "util/clock.h"

void viewer_drop(struct viewer *v)
{
	cleanup_close(&v->fd);
	v->fd = -1;
}

static void tell(struct viewer *v, enum terminal_kind kind)
{
	const struct terminal_message m = { .kind = (uint16_t)kind };

	if (v->fd >= 0)
		(void)!send(v->fd, &m, TERMINAL_HEAD,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Up to TERMINAL_DATA bytes; kept is a ring. */
static ssize_t send_some(const struct terminal *t, const struct viewer *v)
{
	struct terminal_message m = { .kind = TERMINAL_OUTPUT };
	size_t at = v->sent % TERMINAL_KEPT;
	size_t len = TERMINAL_DATA;

	if (len > t->total - v->sent)
		len = t->total - v->sent;
	if (len > TERMINAL_KEPT - at)
		len = TERMINAL_KEPT - at;
	memcpy(m.data, t->kept + at, len);
	if (send(v->fd, &m, TERMINAL_HEAD + len, MSG_DONTWAIT | MSG_NOSIGNAL) <
	    0)
		return -1;
	return (ssize_t)len;
}

void viewer_send(struct terminal *t, struct viewer *v, uint64_t now)
{
	if (v->fd < 0)
		return;
	if (t->total - v->sent > TERMINAL_KEPT) {
		v->sent = t->total - TERMINAL_KEPT;
		tell(v, TERMINAL_LOST);
	}
	while (v->sent < t->total) {
		ssize_t n = send_some(t, v);

		if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
			viewer_drop(v);
			return;
		}
		if (n < 0)
			break;
		v->sent += (uint64_t)n;
		v->since = now;
	}
	if (v->sent == t->total)
		v->since = 0;
	else if (!v->since)
		v->since = now;
}

static void set_size(struct terminal *t, const struct viewer *v)
{
	struct winsize size;

	if (!v->rows || !v->columns || v->read_only ||
	    ioctl(t->master, TIOCGWINSZ, &size) < 0 ||
	    (size.ws_row == v->rows && size.ws_col == v->columns))
		return;
	size = (struct winsize){ .ws_row = v->rows, .ws_col = v->columns };
	(void)ioctl(t->master, TIOCSWINSZ, &size);
}

/* What the master does not take now stays. */
void terminal_type(struct terminal *t, struct viewer *v)
{
	ssize_t n = write(t->master, v->input, v->typed);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		v->typed = 0;
	if (n <= 0)
		return;
	t->last = v->input[n - 1];
	v->typed -= (size_t)n;
	memmove(v->input, v->input + n, v->typed);
}

/* What ctrl-D does: in the middle of a line it takes two. */
static void end_input(struct terminal *t, struct viewer *v)
{
	struct termios now;

	if (tcgetattr(t->slave, &now) < 0 || !(now.c_lflag & ICANON))
		return;
	v->input[0] = v->input[1] = now.c_cc[VEOF];
	v->typed = t->last == '\n' || !t->last ? 1 : 2;
	terminal_type(t, v);
}

/* false: it is gone. */
bool viewer_typed(struct terminal *t, struct viewer *v)
{
	struct terminal_message m;
	ssize_t n = recv(v->fd, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < (ssize_t)TERMINAL_HEAD) {
		viewer_drop(v);
		return false;
	}
	if (m.kind == TERMINAL_SIZE) {
		v->rows = m.rows;
		v->columns = m.columns;
	}
	set_size(t, v);
	if (v->read_only)
		return true;
	if (m.kind == TERMINAL_INPUT) {
		v->typed = (size_t)n - TERMINAL_HEAD;
		memcpy(v->input, m.data, v->typed);
		terminal_type(t, v);
	} else if (m.kind == TERMINAL_EOF) {
		end_input(t, v);
	}
	return true;
}

static int check_socket(int fd, struct err *err)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return err_sys(err, "attach");
	if (domain != AF_UNIX || type != SOCK_SEQPACKET)
		return err_set(err, -EINVAL, "attach: not the socket it takes");
	return 0;
}

/* Full screen programs draw anew: for somebody new that is all there is. */
static void redraw(const struct terminal *t)
{
	pid_t group = tcgetpgrp(t->master);

	if (group > 1)
		(void)kill(-group, SIGWINCH);
}

int terminal_attach(struct terminal *t, int fd, int flags, uint16_t rows,
		    uint16_t columns, struct err *err)
{
	struct viewer *free_one = NULL;
	int i, r = check_socket(fd, err);

	if (r < 0)
		return r;
	for (i = TERMINAL_VIEWERS; i-- > 0;) {
		struct viewer *v = &t->viewers[i];

		if (flags & TERMINAL_STEAL) {
			tell(v, TERMINAL_TAKEN);
			viewer_drop(v);
		}
		if (v->fd < 0)
			free_one = v;
	}
	if (!free_one)
		return err_set(err, -EBUSY,
			       "%d look at it already: make them go with "
			       "--steal",
			       TERMINAL_VIEWERS);
	*free_one = (struct viewer){
		.fd = fd,
		.read_only = (flags & TERMINAL_READ_ONLY) != 0,
		.rows = rows,
		.columns = columns,
		.sent = t->total > TERMINAL_KEPT ? t->total - TERMINAL_KEPT : 0,
	};
	t->awaited = false;
	set_size(t, free_one);
	redraw(t);
	return 0;
}
