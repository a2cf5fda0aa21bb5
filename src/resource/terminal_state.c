// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/terminal_state.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/tty_input.h"

#define ALL_CC sizeof(((struct termios2 *)NULL)->c_cc)

bool terminal_is_locked(int fd)
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

int terminal_state_read(int fd, TerminalState *s, struct termios2 *settings,
			struct err *err)
{
	struct winsize size;

	if (ioctl(fd, TCGETS2, settings) < 0 ||
	    ioctl(fd, TIOCGWINSZ, &size) < 0)
		return err_sys(err, "settings");
	s->iflag = settings->c_iflag;
	s->oflag = settings->c_oflag;
	s->cflag = settings->c_cflag;
	s->lflag = settings->c_lflag;
	s->ispeed = settings->c_ispeed;
	s->ospeed = settings->c_ospeed;
	s->cc.data = settings->c_cc;
	s->cc.len = ALL_CC;
	s->rows = size.ws_row;
	s->columns = size.ws_col;
	s->xpixel = size.ws_xpixel;
	s->ypixel = size.ws_ypixel;
	return 0;
}

int terminal_state_set(int fd, const TerminalState *s, struct err *err)
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
		r = tty_stop_output(fd, err);
	if (r == 0 && s->exclusive && ioctl(fd, TIOCEXCL) < 0)
		r = err_sys(err, "exclusive use");
	return r;
}
