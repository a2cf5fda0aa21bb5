/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static void put_address(const union net_address *a, __be32 host[4],
			__be16 *port)
{

	*port = a->in.sin_port;
	if (a->any.sa_family == AF_INET)
		memcpy(host, &a->in.sin_addr, 4);
	else
		memcpy(host, &a->in6.sin6_addr, 16);
}

static uint32_t scope_of(const union net_address *a)
{
	return a->any.sa_family == AF_INET6 ? a->in6.sin6_scope_id : 0;
}

static void ask(uint8_t protocol, const union net_address *local,
		const union net_address *peer, struct question *q)
{
	struct inet_diag_sockid *id = &q->body.id;

	memset(q, 0, sizeof(*q));
	q->head.nlmsg_len = sizeof(*q);
	q->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	q->head.nlmsg_flags = NLM_F_REQUEST;
	q->body.sdiag_family = (uint8_t)local->any.sa_family;
	q->body.sdiag_protocol = protocol;
	q->body.idiag_states = ~0u;
	/* Only with this it tells of keys. */
	if (protocol == IPPROTO_TCP)
		q->body.idiag_ext = 1u << (INET_DIAG_INFO - 1);
	put_address(local, id->idiag_src, &id->idiag_sport);
	put_address(peer, id->idiag_dst, &id->idiag_dport);
	id->idiag_if = scope_of(local);
	memset(id->idiag_cookie, 0xff, sizeof(id->idiag_cookie));
}

static bool has_attribute(const struct nlmsghdr *head, size_t len, int type)
{
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct inet_diag_msg)));

	if (len > head->nlmsg_len)
		len = head->nlmsg_len;
	while (at + sizeof(struct nlattr) <= len) {
		const struct nlattr *a =
			(const struct nlattr *)((const char *)head + at);

		if (a->nla_type == type)
			return true;
		if (a->nla_len < sizeof(*a))
			return false;
		at += NLA_ALIGN(a->nla_len);
	}
	return false;
}

static int answered(const void *data, size_t len, struct tcp_seen *ret,
		    struct err *err)
{
	const struct nlmsghdr *head = data;
	const struct nlmsgerr *failed = NLMSG_DATA(head);
	const struct inet_diag_msg *msg = NLMSG_DATA(head);

	if (len >= NLMSG_LENGTH(sizeof(*failed)) &&
	    head->nlmsg_type == NLMSG_ERROR)
		return err_num(err, failed->error, "sock_diag");
	if (len < NLMSG_LENGTH(sizeof(*msg)) ||
	    head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return err_set(err, -EPROTO, "sock_diag: %zu bytes of type %u",
			       len, head->nlmsg_type);
	ret->state = msg->idiag_state;
	ret->inode = msg->idiag_inode;
	ret->unread = msg->idiag_rqueue;
	ret->unsent = msg->idiag_wqueue;
	ret->keys = has_attribute(head, len, INET_DIAG_MD5SIG);
	return 0;
}

static int look(uint8_t protocol, const union net_address *local,
		const union net_address *peer, struct tcp_seen *ret,
		struct err *err)
{
	auto_close int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	uint8_t answer[4096] __attribute__((aligned(8)));
	struct question q;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "sock_diag: socket");
	ask(protocol, local, peer, &q);
	if (send(fd, &q, sizeof(q), 0) < 0)
		return err_sys(err, "sock_diag: ask");
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < (ssize_t)sizeof(struct nlmsghdr))
		return n < 0 ? err_sys(err, "sock_diag: answer")
			     : err_set(err, -EPROTO, "sock_diag: %zd bytes", n);
	return answered(answer, (size_t)n, ret, err);
}

int sockdiag_tcp(const union net_address *local, const union net_address *peer,
		 struct tcp_seen *ret, struct err *err)
{
	return look(IPPROTO_TCP, local, peer, ret, err);
}

/* Of UDP the kernel takes the two the other way round. */
int sockdiag_udp(const union net_address *local, const union net_address *peer,
		 uint32_t *ret_inode, struct err *err)
{
	struct tcp_seen seen;
	int r = look(IPPROTO_UDP, peer, local, &seen, err);

	if (r == 0)
		*ret_inode = seen.inode;
	return r;
}
