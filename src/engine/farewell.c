// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/farewell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int farewell_add(struct farewell *f, int fd, struct err *err)
{
	int own;

	if (f->count == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		int *fds = reallocarray(f->fds, room, sizeof(*fds));

		if (!fds)
			return err_num(err, ENOMEM, "sockets");
		f->fds = fds;
		f->room = room;
	}
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return err_sys(err, "duplicate a socket");
	f->fds[f->count++] = own;
	return 0;
}

void farewell_end(struct farewell *f, bool ended)
{
	const struct linger at_once = { .l_onoff = 1 };

	for (size_t i = 0; i < f->count; i++) {
		/* Without it the addresses are free a minute later. */
		if (ended)
			(void)setsockopt(f->fds[i], SOL_SOCKET, SO_LINGER,
					 &at_once, sizeof(at_once));
		close(f->fds[i]);
	}
	free(f->fds);
	*f = (struct farewell){ 0 };
}
