/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "repair/datagram.h"

#include <errno.h>
#include <string.h>

#include "repair/setsockopt.h"

enum step { MOVE, LOOK, BACK, STEPS };

/* Must stay where it is until the kernel has gone through. */
struct looking {
	struct io_uring ring;
	struct msghdr msg;
	struct iovec iov;
	int after, none;
	int results[STEPS];
};

static void prepare(struct looking *l, int fd)
{
	for (int step = MOVE; step < STEPS; step++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

		if (step == LOOK)
			io_uring_prep_recvmsg(sqe, fd, &l->msg,
					      MSG_PEEK | MSG_DONTWAIT);
		else
			setsockopt_prepare(sqe, fd, SOL_SOCKET, SO_PEEK_OFF,
					   step == MOVE ? &l->after : &l->none);
		sqe->flags = step == BACK ? 0 : IOSQE_IO_HARDLINK;
		sqe->user_data = (uint64_t)step;
	}
}

static int run(struct looking *l, int fd, struct err *err)
{
	struct io_uring_cqe *cqe;
	int r, taken;

	prepare(l, fd);
	taken = io_uring_submit_and_wait(&l->ring, STEPS);
	if (taken < 0)
		return err_num(err, -taken, "io_uring");
	for (int i = 0; i < taken; i++) {
		do
			r = io_uring_wait_cqe(&l->ring, &cqe);
		while (r == -EINTR);
		if (r < 0)
			return err_num(err, -r, "io_uring");
		if (cqe->user_data < STEPS)
			l->results[cqe->user_data] = cqe->res;
		io_uring_cqe_seen(&l->ring, cqe);
	}
	return taken == STEPS ? 0 : err_num(err, ENOMEM, "io_uring");
}

static int result(const struct looking *l, struct err *err)
{
	if (l->results[MOVE] < 0 || l->results[BACK] < 0)
		return err_set(
			err, -ENOTSUP,
			"messages, which Linux 6.7 with io_uring would "
			"let us look at: %s",
			strerror(-(l->results[MOVE] < 0 ? l->results[MOVE]
							: l->results[BACK])));
	if (l->results[LOOK] == -EAGAIN)
		return err_set(err, -ENOENT, "no datagram");
	if (l->results[LOOK] < 0)
		return err_num(err, l->results[LOOK], "look at a datagram");
	if (l->msg.msg_flags & MSG_TRUNC)
		return err_set(err, -EFBIG, "a datagram that is too long");
	return 0;
}

int datagram_peek(int fd, size_t after, void *data, size_t *ret_len,
		  union net_address *ret_source, struct err *err)
{
	struct looking l = { .after = (int)after, .none = -1 };
	union net_address source = { 0 };
	int r;

	/* All of it is there: see chain.c. */
	memset(data, 0, DATAGRAM_MAX_BYTES);
	l.iov = (struct iovec){ data, DATAGRAM_MAX_BYTES };
	l.msg.msg_name = &source;
	l.msg.msg_namelen = sizeof(source);
	l.msg.msg_iov = &l.iov;
	l.msg.msg_iovlen = 1;
	r = io_uring_queue_init(4, &l.ring, 0);
	if (r < 0)
		return err_num(err, -r, "io_uring");
	r = run(&l, fd, err);
	io_uring_queue_exit(&l.ring);
	/* Whatever has failed: it must not last. */
	if (r < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &l.none,
				 sizeof(l.none));
	if (r == 0)
		r = result(&l, err);
	if (r < 0)
		return r;
	*ret_len = (size_t)l.results[LOOK];
	*ret_source = source;
	return 0;
}
