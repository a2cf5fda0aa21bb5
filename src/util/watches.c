/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/watches.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define MAGIC   0x6a637731u /* "jcw1" */
#define MESSAGE offsetof(struct watches, fds)

int watches_send(const struct watches *w, int sock, struct err *err)
{
	struct watches copy = *w;

	copy.magic = MAGIC;
	return send_fds(sock, &copy, MESSAGE, w->fds, w->count, err);
}

int watches_pack(const struct watches *w, int *ret_fd, struct err *err)
{
	auto_close int to = -EBADF;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	to = pair[1];
	r = watches_send(w, to, err);
	if (r < 0)
		close(pair[0]);
	else
		*ret_fd = pair[0];
	return r;
}

int watches_unpack(int fd, struct watches *ret, struct err *err)
{
	size_t len = 0, count = WATCHES_MAX;
	struct watches w;
	int r = recv_fds(fd, &w, MESSAGE, &len, w.fds, &count, err);

	if (r < 0)
		return r;
	if (len == MESSAGE && w.magic == MAGIC && w.count == count) {
		*ret = w;
		return 0;
	}
	while (count)
		close(w.fds[--count]);
	return err_set(err, -EBADMSG, "watches: not a message of ours");
}

int watches_find(const struct watches *w, pid_t pid, uint64_t start_time)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->v[i].pid == pid && w->v[i].start_time == start_time)
			return w->fds[i];
	return -1;
}

void watches_add(struct watches *w, pid_t pid, uint64_t start_time, int fd)
{
	if (w->count == WATCHES_MAX) {
		close(fd);
		return;
	}
	w->v[w->count] = (struct watch){ .pid = pid, .start_time = start_time };
	w->fds[w->count++] = fd;
}

void watches_drop(struct watches *w, pid_t pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (w->v[i].pid == pid) {
			close(w->fds[i]);
			continue;
		}
		w->v[kept] = w->v[i];
		w->fds[kept++] = w->fds[i];
	}
	w->count = kept;
	if (!kept)
		w->generation = 0;
}

void watches_lose(struct watches *w, const struct watches_lost *why)
{
	watches_done(w);
	w->generation = why->generation;
	w->v[0] = (struct watch){ .pid = why->writer };
}

struct watches_lost watches_why(const struct watches *w)
{
	struct watches_lost why = { 0 };

	if (!w->count && w->generation)
		why = (struct watches_lost){ w->generation, w->v[0].pid };
	return why;
}

void watches_done(struct watches *w)
{
	while (w->count)
		close(w->fds[--w->count]);
	w->generation = 0;
}
