// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/doors.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

bool doors_is_busy(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	socklen_t len = sizeof(int);
	int listens = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	       listens && poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

bool doors_has_client(const struct doors *d, pid_t ns_pid)
{
	for (size_t i = 0; i < d->nclients; i++)
		if (d->clients[i] == ns_pid)
			return true;
	return false;
}

/* Children of a server often have its socket too. */
static bool has_server(const struct doors *d, ino_t ino)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].ino == ino &&
		    !doors_has_client(d, d->list[i].ns_pid))
			return true;
	return false;
}

bool doors_has(const struct doors *d, pid_t pid)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].pid == pid &&
		    (!doors_has_client(d, d->list[i].ns_pid) ||
		     !has_server(d, d->list[i].ino)))
			return true;
	return false;
}

/* Its number may be another file's by now. */
static bool is_still_busy(const struct door *door)
{
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, door->pid, 0);
	auto_close int fd = -EBADF;
	struct stat st;

	if (pidfd < 0)
		return false;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, door->fd, 0);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == door->ino &&
	       doors_is_busy(fd);
}

bool doors_busy(const struct doors *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (is_still_busy(&d->list[i]))
			return true;
	return false;
}

void doors_done(struct doors *d)
{
	free(d->list);
	free(d->clients);
	memset(d, 0, sizeof(*d));
}
