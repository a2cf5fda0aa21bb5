/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TIOCSTI hands a byte to the line discipline at once, where a write to the
 * master only queues it.  While the bytes go in, the terminal neither echoes
 * nor acts on them; only what ends a line does so.
 */
#include "util/tty_input.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define HEAD 3

struct input {
	uint8_t *data;
	size_t len;
	size_t bytes; /* of content */
};

static bool is_canonical(const struct termios *t)
{
	return (t->c_lflag & ICANON) && !(t->c_lflag & EXTPROC);
}

static int add(struct input *in, enum tty_piece kind, const uint8_t *data,
	       size_t len, struct err *err)
{
	if (in->len + HEAD + len > TTY_INPUT_ROOM)
		return err_set(err, -EFBIG, "typed input");
	in->data[in->len++] = (uint8_t)kind;
	in->data[in->len++] = (uint8_t)len;
	in->data[in->len++] = (uint8_t)(len >> 8);
	memcpy(in->data + in->len, data, len);
	in->len += len;
	in->bytes += len;
	return 0;
}

static int take_lines(int fd, struct input *in, struct err *err)
{
	uint8_t buf[4096];
	int r = 0;

	while (r == 0) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return err_sys(err, "typed input");
		r = add(in, TTY_PIECE_LINE, buf, (size_t)n, err);
	}
	return r;
}

static int take_rest(int fd, enum tty_piece kind, struct input *in,
		     struct err *err)
{
	uint8_t buf[4096];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		r = add(in, kind, buf, (size_t)n, err);
	return r;
}

static int set(int fd, const struct termios *t, struct err *err)
{
	return ioctl(fd, TCSETS, t) < 0 ? err_sys(err, "terminal settings") : 0;
}

static int take(int fd, const struct termios *t, struct input *in,
		struct err *err)
{
	struct termios plain = *t;
	int r, back;

	if (!is_canonical(t))
		return take_rest(fd, TTY_PIECE_BYTES, in, err);
	r = take_lines(fd, in, err);
	plain.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	/* A job that is let go too early must wait, not see an end. */
	plain.c_cc[VMIN] = 1;
	plain.c_cc[VTIME] = 0;
	if (r == 0)
		r = set(fd, &plain, err);
	if (r == 0)
		r = take_rest(fd, TTY_PIECE_EDITED, in, err);
	back = set(fd, t, err);
	return r < 0 ? r : back;
}

static int put_bytes(int fd, const uint8_t *data, size_t len, struct err *err)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (ioctl(fd, TIOCSTI, data + i) < 0)
			return err_sys(err, "typed input: TIOCSTI");
	return 0;
}

/* A byte that can mean the end of a piece, as it is not in it. */
static int find_mark(const uint8_t *data, size_t len, uint8_t *ret,
		     struct err *err)
{
	unsigned int c;

	for (c = 4; c < 256; c++)
		if (c != '\n' && !memchr(data, (int)c, len))
			break;
	if (c == 256)
		return err_set(err, -ENOTSUP, "typed input: any byte there is");
	*ret = (uint8_t)c;
	return 0;
}

static void make_plain(const struct termios *t, struct termios *ret)
{
	*ret = *t;
	ret->c_iflag = 0;
	ret->c_lflag = is_canonical(t) ? ICANON : t->c_lflag & EXTPROC;
	memset(ret->c_cc, _POSIX_VDISABLE, sizeof(ret->c_cc));
}

/* A line feed ends a line by itself, all else by a mark. */
static int put_piece(int fd, const struct termios *t, int kind,
		     const uint8_t *data, size_t len, struct err *err)
{
	struct termios plain;
	uint8_t mark;
	int r;

	make_plain(t, &plain);
	r = find_mark(data, len, &mark, err);
	if (r == 0 && kind == TTY_PIECE_LINE) {
		plain.c_cc[VEOF] = mark;
		r = set(fd, &plain, err);
	}
	if (r == 0)
		r = put_bytes(fd, data, len, err);
	if (r == 0 && kind == TTY_PIECE_LINE && (!len || data[len - 1] != '\n'))
		r = put_bytes(fd, &mark, 1, err);
	return r;
}

static int put_all(int fd, const struct termios *t, const uint8_t *at,
		   const uint8_t *end, struct err *err)
{
	bool lines = is_canonical(t);
	int r = 0;

	while (r == 0 && at < end) {
		size_t len =
			end - at < HEAD ? SIZE_MAX : at[1] | (size_t)at[2] << 8;
		bool of_lines =
			*at == TTY_PIECE_LINE || *at == TTY_PIECE_EDITED;

		if (len > (size_t)(end - at) - HEAD ||
		    (!of_lines && *at != TTY_PIECE_BYTES) || of_lines != lines)
			return err_set(err, -EBADMSG, "typed input");
		r = put_piece(fd, t, *at, at + HEAD, len, err);
		at += HEAD + len;
	}
	return r;
}

int tty_input_put(int fd, const uint8_t *input, size_t len, struct err *err)
{
	struct termios t, plain;
	int r, back;

	if (!len)
		return 0;
	if (len > TTY_INPUT_ROOM)
		return err_set(err, -EBADMSG, "typed input");
	if (ioctl(fd, TCGETS, &t) < 0)
		return err_sys(err, "terminal settings");
	make_plain(&t, &plain);
	r = set(fd, &plain, err);
	if (r == 0)
		r = put_all(fd, &t, input, input + len, err);
	back = set(fd, &t, err);
	return r < 0 ? r : back;
}

/* Nothing can be taken that could not be put back. */
static int may_take(int fd, struct err *err)
{
	int unread = 0;

	if (ioctl(fd, FIONREAD, &unread) < 0)
		return err_sys(err, "typed input");
	if (unread > TTY_INPUT_LIMIT)
		return err_set(err, -ENOTSUP,
			       "%d bytes of typed input are not read yet, more "
			       "than %d",
			       unread, TTY_INPUT_LIMIT);
	return 0;
}

int tty_input_copy(int fd, uint8_t ret[TTY_INPUT_ROOM], size_t *ret_len,
		   struct err *err)
{
	struct input in = { .data = ret };
	struct termios t;
	struct err later;
	int r = may_take(fd, err), back;

	if (r < 0)
		return r;
	if (ioctl(fd, TCGETS, &t) < 0)
		return err_sys(err, "terminal settings");
	r = take(fd, &t, &in, err);
	back = tty_input_put(fd, ret, in.len, r < 0 ? &later : err);
	if (r < 0)
		return r;
	*ret_len = in.len;
	return back;
}

/* tcflow(3) needs no key, but is another thing where keys have a meaning. */
int tty_stop_output(int fd, struct err *err)
{
	const uint8_t key = 's';
	struct termios t, now;
	int r = 0, back;

	if (ioctl(fd, TCGETS, &t) < 0)
		return err_sys(err, "terminal settings");
	if (!(t.c_iflag & IXON))
		return ioctl(fd, TCXONC, TCOOFF) < 0 ? err_sys(err, "tcflow")
						     : 0;
	now = t;
	now.c_lflag = 0;
	memset(now.c_cc, _POSIX_VDISABLE, sizeof(now.c_cc));
	now.c_cc[VSTOP] = key;
	r = set(fd, &now, err);
	if (r == 0 && ioctl(fd, TIOCSTI, &key) < 0)
		r = err_sys(err, "hold output back");
	back = set(fd, &t, err);
	return r < 0 ? r : back;
}
