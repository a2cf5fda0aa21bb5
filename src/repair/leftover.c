/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "repair/leftover.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

#define TIMER_TIME_WAIT 3 /* idiag_timer */
#define ANSWER_BYTES    32768

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

struct found {
	struct inet_diag_msg *list; /* of connections that have ended */
	size_t count, room;
	bool others; /* another user is there */
};

static int open_diag(struct err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return fd < 0 ? err_sys(err, "sock_diag: socket") : fd;
}

static int add(struct found *f, const struct inet_diag_msg *msg,
	       struct err *err)
{
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct inet_diag_msg *list =
			reallocarray(f->list, room, sizeof(*list));

		if (!list)
			return err_num(err, ENOMEM, "connections");
		f->list = list;
		f->room = room;
	}
	f->list[f->count++] = *msg;
	return 0;
}

/* 1: that was the last of them.  The kernel may tell of other ports, too. */
static int take(struct found *f, const struct nlmsghdr *head, in_port_t port,
		uid_t uid, struct err *err)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(head);
	const struct nlmsgerr *failed = NLMSG_DATA(head);

	if (head->nlmsg_type == NLMSG_DONE)
		return 1;
	if (head->nlmsg_type == NLMSG_ERROR)
		return err_num(err, failed->error, "sock_diag");
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    head->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)) ||
	    msg->id.idiag_sport != port)
		return 0;
	if (msg->idiag_timer == TIMER_TIME_WAIT)
		return add(f, msg, err);
	f->others |= msg->idiag_uid != uid;
	return 0;
}

static int receive(int fd, struct found *f, in_port_t port, uid_t uid,
		   struct err *err)
{
	auto_free struct nlmsghdr *answer = malloc(ANSWER_BYTES);
	int r = 0;

	if (!answer)
		return err_num(err, ENOMEM, "sock_diag");
	while (r == 0) {
		const struct nlmsghdr *head = answer;
		ssize_t n = recv(fd, answer, ANSWER_BYTES, 0);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "sock_diag: answer");
		for (; r == 0 && NLMSG_OK(head, (unsigned int)left);
		     head = NLMSG_NEXT(head, left))
			r = take(f, head, port, uid, err);
	}
	return r < 0 ? r : 0;
}

static int look(int fd, uint8_t family, in_port_t port, uid_t uid,
		struct found *f, struct err *err)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof(q),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .sdiag_family = family,
			  .sdiag_protocol = IPPROTO_TCP,
			  .idiag_states = ~0u,
			  .id.idiag_sport = port },
	};

	if (send(fd, &q, sizeof(q), 0) < 0)
		return err_sys(err, "sock_diag: ask");
	return receive(fd, f, port, uid, err);
}

/* It may have gone by itself meanwhile. */
static int forget(int fd, const struct inet_diag_msg *msg, struct err *err)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof(q),
			  .nlmsg_type = SOCK_DESTROY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.body = { .sdiag_family = msg->idiag_family,
			  .sdiag_protocol = IPPROTO_TCP,
			  .idiag_states = ~0u,
			  .id = msg->id },
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr body;
		uint8_t room[512];
	} answer;

	if (send(fd, &q, sizeof(q), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		return err_sys(err, "sock_diag: destroy");
	if (answer.head.nlmsg_type == NLMSG_ERROR && answer.body.error &&
	    answer.body.error != -ENOENT)
		return err_num(err, answer.body.error, "sock_diag: destroy");
	return 0;
}

int leftover_forget(const union net_address *local, uid_t uid,
		    unsigned int *ret_count, struct err *err)
{
	auto_close int fd = open_diag(err);
	struct found f = { 0 };
	int r;

	*ret_count = 0;
	if (fd < 0)
		return fd;
	/* Both families have the same ports. */
	r = look(fd, AF_INET, local->in.sin_port, uid, &f, err);
	if (r == 0)
		r = look(fd, AF_INET6, local->in.sin_port, uid, &f, err);
	for (size_t i = 0; r == 0 && !f.others && i < f.count; i++) {
		r = forget(fd, &f.list[i], err);
		*ret_count += r == 0;
	}
	free(f.list);
	return r;
}
