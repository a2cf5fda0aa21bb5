/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "repair/chain.h"

#include <errno.h>
#include <liburing.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "repair/setsockopt.h"
#include "util/cleanup.h"

enum step { ENTER, CHOOSE, READ, LEAVE, REUSE, STEPS };

static const char *const names[STEPS] = {
	"TCP_REPAIR",     "TCP_REPAIR_QUEUE", "read the send queue",
	"end TCP_REPAIR", "SO_REUSEADDR",
};

/* Must stay where it is until the kernel has gone through. */
struct chain {
	struct io_uring ring;
	int enter, queue, leave, reuse;
	int results[STEPS];
};

static void prepare(struct chain *c, int fd, void *data, size_t room)
{
	for (int step = ENTER; step < STEPS; step++) {
		struct io_uring_sqe *sqe;

		if (step == READ && !data)
			continue;
		sqe = io_uring_get_sqe(&c->ring);
		if (step == ENTER)
			setsockopt_prepare(sqe, fd, IPPROTO_TCP, TCP_REPAIR,
					   &c->enter);
		else if (step == CHOOSE)
			setsockopt_prepare(sqe, fd, IPPROTO_TCP,
					   TCP_REPAIR_QUEUE, &c->queue);
		else if (step == READ)
			io_uring_prep_recv(sqe, fd, data, room,
					   MSG_PEEK | MSG_DONTWAIT);
		else if (step == LEAVE)
			setsockopt_prepare(sqe, fd, IPPROTO_TCP, TCP_REPAIR,
					   &c->leave);
		else
			setsockopt_prepare(sqe, fd, SOL_SOCKET, SO_REUSEADDR,
					   &c->reuse);
		/* The last step belongs to no chain behind it. */
		sqe->flags = step == REUSE ? 0 : IOSQE_IO_HARDLINK;
		sqe->user_data = (uint64_t)step;
	}
}

/* Fewer are taken only when the kernel has no memory for more. */
static int collect(struct chain *c, int steps, struct err *err)
{
	struct io_uring_cqe *cqe;
	int r, taken;

	taken = io_uring_submit_and_wait(&c->ring, (unsigned int)steps);
	if (taken < 0)
		return err_num(err, -taken, "io_uring");
	for (int i = 0; i < taken; i++) {
		do
			r = io_uring_wait_cqe(&c->ring, &cqe);
		while (r == -EINTR);
		if (r < 0)
			return err_num(err, -r, "io_uring");
		if (cqe->user_data < STEPS)
			c->results[cqe->user_data] = cqe->res;
		io_uring_cqe_seen(&c->ring, cqe);
	}
	return taken == steps ? 0 : err_num(err, ENOMEM, "io_uring");
}

/* Whatever has failed: it must not last. */
static void leave(const struct chain *c, int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, &len) < 0 || !on)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &c->leave,
			 sizeof(c->leave));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &c->reuse,
			 sizeof(c->reuse));
}

static int run(struct chain *c, int fd, void *data, size_t room,
	       struct err *err)
{
	int r;

	prepare(c, fd, data, room);
	r = collect(c, data ? STEPS : STEPS - 1, err);
	for (int step = ENTER; step < STEPS && r == 0; step++)
		if (c->results[step] < 0)
			r = err_num(err, -c->results[step], "%s", names[step]);
	return r;
}

/*
 * data NULL: nothing is read.  What is read to must be there: a page that is
 * missing when we are killed is not brought in any more.
 */
static int go(int fd, enum chain_queue queue, void *data, size_t room,
	      size_t *ret_len, struct err *err)
{
	struct chain c = { .enter = 1, .queue = queue, .leave = -1 };
	socklen_t len = sizeof(c.reuse);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &c.reuse, &len) < 0)
		return err_sys(err, "SO_REUSEADDR");
	if (data)
		memset(data, 0, room);
	r = io_uring_queue_init(8, &c.ring, 0);
	if (r < 0)
		return err_num(err, -r, "io_uring");
	r = run(&c, fd, data, room, err);
	io_uring_queue_exit(&c.ring);
	if (r < 0)
		leave(&c, fd);
	if (r == 0 && data)
		*ret_len = (size_t)c.results[READ];
	return r;
}

int chain_supported(struct err *err)
{
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = chain_choose(fd, CHAIN_SEND, err);
	if (r < 0)
		err->code = -ENOTSUP;
	return r < 0 ? -ENOTSUP : 0;
}

int chain_read_sent(int fd, void *data, size_t room, size_t *ret_len,
		    struct err *err)
{
	return go(fd, CHAIN_SEND, data, room, ret_len, err);
}

int chain_choose(int fd, enum chain_queue queue, struct err *err)
{
	return go(fd, queue, NULL, 0, NULL, err);
}

int chain_sequence(int fd, uint32_t *ret, struct err *err)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, ret, &len) < 0)
		return err_sys(err, "TCP_QUEUE_SEQ");
	return 0;
}
