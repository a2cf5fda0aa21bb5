// SPDX-License-Identifier: GPL-2.0-or-later
#include "repair/half.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "repair/pair.h"
#include "util/cleanup.h"

#define MAGIC     0x6a637468u /* "jcth" */
#define MORE_ROOM 65536u

enum { FINISHED = 1, OVER = 2 }; /* of struct hello */

/* Goes first, in both directions; little endian. */
struct hello {
	uint32_t magic;
	uint32_t unread_end, sent_first; /* of struct tcp_half */
	uint32_t flags;
	uint64_t nunread, nsent;
};

/* Bytes that go out and come in at once: neither end waits for the other. */
struct talk {
	int fd;
	int ms;
	const uint8_t *out;
	size_t nout;
	uint8_t *in;
	size_t nin;
};

static void pack(const struct tcp_half *half, struct hello *ret)
{
	*ret = (struct hello){
		.magic = htole32(MAGIC),
		.unread_end = htole32(half->unread_end),
		.sent_first = htole32(half->sent_first),
		.flags = htole32((half->finished ? FINISHED : 0u) |
				 (half->over ? OVER : 0u)),
		.nunread = htole64(half->nunread),
		.nsent = htole64(half->nsent),
	};
}

static int unpack(const struct hello *h, size_t limit, struct tcp_half *ret,
		  struct err *err)
{
	if (le32toh(h->magic) != MAGIC ||
	    le32toh(h->flags) & ~(FINISHED | OVER) ||
	    le64toh(h->nunread) > limit || le64toh(h->nsent) > limit)
		return err_set(
			err, -EBADMSG,
			"the other end is no restore of this connection");
	*ret = (struct tcp_half){
		.unread_end = le32toh(h->unread_end),
		.sent_first = le32toh(h->sent_first),
		.finished = le32toh(h->flags) & FINISHED,
		.over = le32toh(h->flags) & OVER,
		.nunread = le64toh(h->nunread),
		.nsent = le64toh(h->nsent),
	};
	return 0;
}

/* 0 as well: it would have to wait. */
static int send_some(struct talk *t, struct err *err)
{
	ssize_t n = send(t->fd, t->out, t->nout, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : err_sys(err, "send to the other end");
	t->out += n;
	t->nout -= (size_t)n;
	return 0;
}

static int receive_some(struct talk *t, struct err *err)
{
	ssize_t n = recv(t->fd, t->in, t->nin, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : err_sys(err, "receive from the other end");
	if (n == 0)
		return err_set(err, -EBADMSG, "the other end has left");
	t->in += n;
	t->nin -= (size_t)n;
	return 0;
}

static int talk(struct talk *t, struct err *err)
{
	int r = 0;

	while (r == 0 && (t->nout || t->nin)) {
		struct pollfd p = {
			.fd = t->fd,
			.events = (short)((t->nout ? POLLOUT : 0) |
					  (t->nin ? POLLIN : 0)),
		};

		r = poll(&p, 1, t->ms);
		if (r == 0)
			return err_set(err, -ETIMEDOUT,
				       "nothing comes from the other end");
		if (r < 0 && errno != EINTR)
			return err_sys(err, "poll");
		r = 0;
		if (t->nout)
			r = send_some(t, err);
		if (r == 0 && t->nin)
			r = receive_some(t, err);
	}
	return r;
}

/* Each end sends what it wants to have back. */
static int exchange(int fd, const struct tcp_half *half, size_t limit, int ms,
		    struct tcp_half *ret, struct err *err)
{
	struct talk t = { .fd = fd, .ms = ms };
	struct hello own, other;
	int r;

	pack(half, &own);
	t.out = (const uint8_t *)&own;
	t.nout = sizeof(own);
	t.in = (uint8_t *)&other;
	t.nin = sizeof(other);
	r = talk(&t, err);
	if (r == 0)
		r = unpack(&other, limit, ret, err);
	if (r < 0)
		return r;
	ret->unread = malloc(ret->nunread + 1);
	if (!ret->unread)
		return err_num(err, ENOMEM, "%zu bytes", ret->nunread);
	t.out = half->unread;
	t.nout = half->nunread;
	t.in = ret->unread;
	t.nin = ret->nunread;
	return talk(&t, err);
}

static int make_room(int fd, int name, int forced, size_t bytes,
		     struct err *err)
{
	int now = 0, wanted = (int)(2 * bytes + MORE_ROOM);
	socklen_t len = sizeof(now);

	if (getsockopt(fd, SOL_SOCKET, name, &now, &len) < 0)
		return err_sys(err, "size of a buffer");
	/* The kernel doubles it, for what it needs itself. */
	if (now < 2 * wanted &&
	    setsockopt(fd, SOL_SOCKET, forced, &wanted, sizeof(wanted)) < 0)
		return err_sys(err, "buffer of %d bytes", wanted);
	return 0;
}

int half_make_room(int fd, const struct tcp_half *half, struct err *err)
{
	return make_room(fd, SO_RCVBUF, SO_RCVBUFFORCE, half->nunread, err);
}

static int give_back(int fd, const struct tcp_half *half,
		     const struct tcp_half *other, struct err *err)
{
	size_t known, theirs;
	int r;

	r = tcp_half_known(half, other, &known, err);
	/* It would find the same. */
	if (r == 0)
		r = tcp_half_known(other, half, &theirs, err);
	if (r == 0)
		r = make_room(fd, SO_SNDBUF, SO_SNDBUFFORCE,
			      other->nunread + half->nsent - known, err);
	if (r == 0)
		r = pair_send(fd, other->unread, other->nunread, err);
	if (r == 0 && half->nsent > known)
		r = pair_send(fd, half->sent + known, half->nsent - known, err);
	return r < 0 ? r : pair_await(fd, half->nunread, err);
}

int half_restore(int fd, const struct tcp_half *half, size_t limit,
		 unsigned int ms, struct err *err)
{
	struct tcp_half other = { 0 };
	int r;

	r = exchange(fd, half, limit, (int)ms, &other, err);
	if (r == 0)
		r = give_back(fd, half, &other, err);
	tcp_half_done(&other);
	if (r < 0)
		return r;
	if (half->finished && shutdown(fd, SHUT_WR) < 0)
		return err_sys(err, "shutdown");
	return 0;
}
