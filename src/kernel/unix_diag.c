/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/unix_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#define ANSWER_BYTES (64u << 10) /* more than the kernel puts into one */
#define TRIES        10          /* of a list that changes meanwhile */
#define SHOW                                                                   \
	(UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER |                  \
	 UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN)

struct question {
	struct nlmsghdr head;
	struct unix_diag_req req;
};

static int ask(int flags, uint32_t states, uint32_t inode, struct err *err)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof(q),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) },
		.req = { .sdiag_family = AF_UNIX,
			 .udiag_states = states,
			 .udiag_ino = inode,
			 .udiag_show = SHOW,
			 .udiag_cookie = { ~0u, ~0u } },
	};
	auto_close int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return err_sys(err, "netlink");
	if (send(fd, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return err_sys(err, "sock_diag");
	return take_fd(&fd);
}

static void take_name(struct unix_socket *s, const void *data, size_t len)
{
	const char *name = data;

	if (len > sizeof(s->name))
		len = sizeof(s->name);
	/* A path may come with the zero behind it. */
	if (len && name[0])
		len = strnlen(name, len);
	memcpy(s->name, name, len);
	s->name_len = len;
}

static int take_pending(struct unix_socket *s, const void *data, size_t len,
			struct err *err)
{
	s->pending = malloc(len + 1);
	if (!s->pending)
		return err_num(err, ENOMEM, "connections that wait");
	memcpy(s->pending, data, len);
	s->npending = len / sizeof(*s->pending);
	return 0;
}

static int take_attribute(struct unix_socket *s, const struct rtattr *a,
			  struct err *err)
{
	const size_t len = RTA_PAYLOAD(a);
	struct unix_diag_rqlen queue;
	struct unix_diag_vfs vfs;

	if (a->rta_type == UNIX_DIAG_NAME) {
		take_name(s, RTA_DATA(a), len);
	} else if (a->rta_type == UNIX_DIAG_ICONS) {
		return take_pending(s, RTA_DATA(a), len, err);
	} else if (a->rta_type == UNIX_DIAG_PEER && len >= sizeof(s->peer)) {
		s->has_peer = true;
		memcpy(&s->peer, RTA_DATA(a), sizeof(s->peer));
	} else if (a->rta_type == UNIX_DIAG_SHUTDOWN && len >= 1) {
		memcpy(&s->shutdown, RTA_DATA(a), 1);
	} else if (a->rta_type == UNIX_DIAG_VFS && len >= sizeof(vfs)) {
		memcpy(&vfs, RTA_DATA(a), sizeof(vfs));
		s->has_file = true;
		s->file_dev = vfs.udiag_vfs_dev;
		s->file_ino = vfs.udiag_vfs_ino;
	} else if (a->rta_type == UNIX_DIAG_RQLEN && len >= sizeof(queue)) {
		memcpy(&queue, RTA_DATA(a), sizeof(queue));
		s->backlog = queue.udiag_wqueue;
	}
	return 0;
}

static int take_socket(const struct nlmsghdr *head, struct unix_socket *ret,
		       struct err *err)
{
	const struct unix_diag_msg *m = NLMSG_DATA(head);
	const struct rtattr *a = (const struct rtattr *)(m + 1);
	int left = (int)head->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*m));
	int r = 0;

	if (left < 0)
		return err_set(err, -EIO, "sock_diag: half an answer");
	ret->inode = m->udiag_ino;
	ret->type = m->udiag_type;
	ret->listening = m->udiag_state == TCP_LISTEN;
	for (; r == 0 && RTA_OK(a, left); a = RTA_NEXT(a, left))
		r = take_attribute(ret, a, err);
	return r;
}

void unix_socket_done(struct unix_socket *s)
{
	free(take_ptr(s->pending));
}

static int tell_one(const struct nlmsghdr *head, unix_look_fn look, void *arg,
		    struct err *err)
{
	struct unix_socket s = { 0 };
	int r = take_socket(head, &s, err);

	if (r == 0)
		r = look(arg, &s, err);
	unix_socket_done(&s);
	return r;
}

/* 1: it was the last of them; other than 0 ends it too. */
static int read_answer(int fd, char *buf, unix_look_fn look, void *arg,
		       struct err *err)
{
	ssize_t n = recv(fd, buf, ANSWER_BYTES, MSG_TRUNC);
	const struct nlmsghdr *head = (const struct nlmsghdr *)buf;
	int left = (int)n, r = 0;

	if (n < 0)
		return err_sys(err, "sock_diag: receive");
	if (n > (ssize_t)ANSWER_BYTES)
		return err_set(err, -EIO, "sock_diag: a long answer");
	for (; r == 0 && NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
		const struct nlmsgerr *e = NLMSG_DATA(head);

		if (head->nlmsg_flags & NLM_F_DUMP_INTR)
			return err_set(err, -EAGAIN, "sock_diag: interrupted");
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type == NLMSG_ERROR)
			return e->error ? err_num(err, e->error, "sock_diag")
					: 1;
		r = tell_one(head, look, arg, err);
	}
	return r;
}

int unix_socket_copy(const struct unix_socket *from, struct unix_socket *ret,
		     struct err *err)
{
	const size_t len = from->npending * sizeof(*from->pending);

	*ret = *from;
	ret->pending = NULL;
	if (!len)
		return 0;
	ret->pending = malloc(len);
	if (!ret->pending)
		return err_num(err, ENOMEM, "connections that wait");
	memcpy(ret->pending, from->pending, len);
	return 0;
}

static int take_first(void *arg, const struct unix_socket *s, struct err *err)
{
	int r = unix_socket_copy(s, arg, err);

	return r < 0 ? r : 1;
}

int unix_diag_find(uint32_t inode, struct unix_socket *ret, struct err *err)
{
	auto_free char *buf = malloc(ANSWER_BYTES);
	auto_close int fd = -EBADF;
	int r;

	if (!buf)
		return err_num(err, ENOMEM, "sock_diag");
	fd = ask(0, ~0u, inode, err);
	if (fd < 0)
		return fd;
	r = read_answer(fd, buf, take_first, ret, err);
	return r < 0 ? r : 0;
}

static int list(uint32_t states, unix_look_fn look, void *arg, struct err *err)
{
	auto_free char *buf = malloc(ANSWER_BYTES);
	auto_close int fd = -EBADF;
	int r = 0;

	if (!buf)
		return err_num(err, ENOMEM, "sock_diag");
	fd = ask(NLM_F_DUMP, states, 0, err);
	if (fd < 0)
		return fd;
	while (r == 0)
		r = read_answer(fd, buf, look, arg, err);
	return r < 0 ? r : 0;
}

int unix_diag_all(bool listening, unix_look_fn look, void *arg, struct err *err)
{
	const uint32_t states = listening ? 1u << TCP_LISTEN : ~0u;
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = list(states, look, arg, err);
	return r;
}

struct reading {
	struct unix_table *table;
	size_t room;
};

static int add_to_table(void *arg, const struct unix_socket *s, struct err *err)
{
	struct reading *reading = arg;
	struct unix_table *t = reading->table;
	int r;

	if (t->count == reading->room) {
		size_t room = reading->room ? 2 * reading->room : 256;
		struct unix_socket *more =
			reallocarray(t->list, room, sizeof(*more));

		if (!more)
			return err_num(err, ENOMEM, "sockets");
		t->list = more;
		reading->room = room;
	}
	r = unix_socket_copy(s, &t->list[t->count], err);
	if (r == 0)
		t->count++;
	return r;
}

static int order(const void *a, const void *b)
{
	const struct unix_socket *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

int unix_table_read(struct unix_table *ret, struct err *err)
{
	struct reading reading = { .table = ret };
	int r;

	*ret = (struct unix_table){ 0 };
	r = unix_diag_all(false, add_to_table, &reading, err);
	if (r < 0)
		unix_table_done(ret);
	else if (ret->count)
		qsort(ret->list, ret->count, sizeof(*ret->list), order);
	return r;
}

const struct unix_socket *unix_table_find(const struct unix_table *t,
					  uint32_t inode)
{
	const struct unix_socket key = { .inode = inode };

	/* Ends that nobody has are told of by 0. */
	return inode && t->count
		       ? bsearch(&key, t->list, t->count, sizeof(key), order)
		       : NULL;
}

void unix_table_done(struct unix_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		unix_socket_done(&t->list[i]);
	free(take_ptr(t->list));
	t->count = 0;
}
