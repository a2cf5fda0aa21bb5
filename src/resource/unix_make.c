// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/unix_make.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "images/limits.h"
#include "resource/unix_bind.h"
#include "util/cleanup.h"

/* Numbers that not all headers know. */
#define BUF_LOCK 72

#define GROUPS_TOLD 1000 /* as fit into a puppet's buffer */

static bool owner_has_group(const struct restore_owner *o, uint32_t gid)
{
	for (size_t i = 0; i < o->ngroups; i++)
		if (o->groups[i] == gid)
			return true;
	return o->gid == gid;
}

int unix_check_ids(const struct restore_owner *owner, const UnixIds *ids,
		   struct err *err)
{
	if (owner->uid &&
	    (ids->uid != owner->uid || !owner_has_group(owner, ids->gid)))
		return err_set(err, -EPERM, "socket of %u:%u, not the owner's",
			       ids->uid, ids->gid);
	return 0;
}

static int call(struct restore_task *task, const char *what, long nr,
		uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		struct err *err)
{
	int64_t v;

	return remote_call(task->remote, what, &v, err, nr, a0, a1, a2, a3, 0,
			   0);
}

/* Its saved ids stay root's. */
static int become(struct restore_ctx *ctx, struct restore_task *task,
		  const UnixIds *ids, struct err *err)
{
	const struct restore_owner *o = ctx->owner;
	uint64_t buf = remote_buffer(task->remote);
	size_t n = o->ngroups;
	int r = 0;

	if (!o->uid && !ids->uid && !ids->gid)
		return 0;
	if (o->uid && n <= GROUPS_TOLD) {
		if (n)
			r = remote_write(task->remote, buf, o->groups,
					 n * sizeof(*o->groups), err);
		if (r == 0)
			r = call(task, "setgroups", __NR_setgroups, n, buf, 0,
				 0, err);
	}
	if (r == 0)
		r = call(task, "setresgid", __NR_setresgid, ids->gid, ids->gid,
			 0, 0, err);
	return r < 0 ? r
		     : call(task, "setresuid", __NR_setresuid, ids->uid,
			    ids->uid, 0, 0, err);
}

static int become_root(struct restore_task *task, struct err *err)
{
	int r = call(task, "setresuid", __NR_setresuid, 0, 0, 0, 0, err);

	if (r == 0)
		r = call(task, "setresgid", __NR_setresgid, 0, 0, 0, 0, err);
	return r < 0 ? r
		     : call(task, "setgroups", __NR_setgroups, 0, 0, 0, 0, err);
}

/* Out of the puppet, which does not keep it. */
static int take(struct restore_task *task, int fd, int *ret, struct err *err)
{
	auto_close int pidfd = pidfd_open(task->pid, 0);
	auto_close int own = -EBADF;
	int r;

	if (pidfd < 0)
		return err_sys(err, "pidfd");
	own = pidfd_getfd(pidfd, fd, 0);
	if (own < 0)
		return err_sys(err, "take a socket");
	r = call(task, "close", __NR_close, (uint64_t)fd, 0, 0, 0, err);
	if (r == 0)
		*ret = take_fd(&own);
	return r;
}

static int make_there(struct restore_task *task, int type, int ret[2],
		      struct err *err)
{
	uint64_t buf = remote_buffer(task->remote);
	int there[2], r;

	r = call(task, "socketpair", __NR_socketpair, AF_UNIX,
		 (uint64_t)(type | SOCK_CLOEXEC), 0, buf, err);
	if (r == 0)
		r = remote_read(task->remote, buf, there, sizeof(there), err);
	for (int i = 0; i < 2 && r == 0; i++)
		r = take(task, there[i], &ret[i], err);
	return r;
}

/* *ret stands in for who is to be told. */
static int begin(struct restore_ctx *ctx, const UnixIds *ids,
		 struct restore_task **ret, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int r = unix_check_ids(ctx->owner, ids, err);

	return r < 0 ? r : e->enter(e->arg, ids->pid, ret, err);
}

int unix_make_pair(struct restore_ctx *ctx, const UnixIds *ids, int type,
		   int ret[2], struct err *err)
{
	auto_close int first = -EBADF, second = -EBADF;
	struct restore_task *task;
	int ends[2] = { -EBADF, -EBADF }, r;

	r = begin(ctx, ids, &task, err);
	if (r == 0)
		r = become(ctx, task, ids, err);
	if (r == 0)
		r = make_there(task, type, ends, err);
	first = ends[0];
	second = ends[1];
	if (r == 0)
		r = become_root(task, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d: socketpair", ids->pid);
	ret[0] = take_fd(&first);
	ret[1] = take_fd(&second);
	return 0;
}

static int close_there(struct restore_task *task, int fd, struct err *err)
{
	return call(task, "close", __NR_close, (uint64_t)fd, 0, 0, 0, err);
}

int unix_listen(struct restore_ctx *ctx, const UnixIds *ids, int fd,
		uint32_t backlog, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	struct restore_task *task;
	int there, r;

	r = begin(ctx, ids, &task, err);
	if (r == 0)
		r = e->give_fd(e->arg, task, fd, &there, err);
	if (r == 0)
		r = become(ctx, task, ids, err);
	if (r == 0)
		r = call(task, "listen", __NR_listen, (uint64_t)there, backlog,
			 0, 0, err);
	if (r == 0)
		r = become_root(task, err);
	if (r == 0)
		r = close_there(task, there, err);
	return r < 0 ? err_wrap(err, r, "pid %d", ids->pid) : 0;
}

static int call_connect(struct restore_task *task, int fd,
			const struct sockaddr_un *addr, socklen_t len,
			struct err *err)
{
	uint64_t buf = remote_buffer(task->remote);
	int r = remote_write(task->remote, buf, addr, sizeof(*addr), err);

	return r < 0 ? r
		     : call(task, "connect", __NR_connect, (uint64_t)fd, buf,
			    len, 0, err);
}

static int connect_there(struct restore_ctx *ctx, struct restore_task *task,
			 const UnixIds *ids, int fd, int path_fd,
			 const ProtobufCBinaryData *name, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	struct sockaddr_un addr;
	int there, path = -1, r;
	socklen_t len;

	r = e->give_fd(e->arg, task, fd, &there, err);
	if (r == 0 && path_fd >= 0)
		r = e->give_fd(e->arg, task, path_fd, &path, err);
	if (r == 0 && path >= 0)
		unix_address_of_path(path, &addr, &len);
	else if (r == 0)
		r = unix_address(name, &addr, &len, err);
	if (r == 0)
		r = become(ctx, task, ids, err);
	if (r == 0)
		r = call_connect(task, there, &addr, len, err);
	if (r == 0)
		r = become_root(task, err);
	if (r == 0 && path >= 0)
		r = close_there(task, path, err);
	return r < 0 ? r : close_there(task, there, err);
}

int unix_connect(struct restore_ctx *ctx, const UnixIds *ids, int fd,
		 int path_fd, const ProtobufCBinaryData *name, struct err *err)
{
	int flags = fcntl(fd, F_GETFL), r;
	struct restore_task *task;

	if (path_fd < 0 && name->len && name->data[0])
		return err_set(err, -EBADMSG, "connected to no path");
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, "O_NONBLOCK");
	r = begin(ctx, ids, &task, err);
	if (r == 0)
		r = connect_there(ctx, task, ids, fd, path_fd, name, err);
	if (r == 0 && fcntl(fd, F_SETFL, flags) < 0)
		r = err_sys(err, "O_NONBLOCK");
	return r < 0 ? err_wrap(err, r, "pid %d", ids->pid) : 0;
}

/* Of datagrams nobody is told who connects. */
static int connect_here(int fd, int path_fd, const ProtobufCBinaryData *name,
			struct err *err)
{
	struct sockaddr_un addr;
	socklen_t len;
	int r = 0;

	if (path_fd >= 0)
		unix_address_of_path(path_fd, &addr, &len);
	else
		r = unix_address(name, &addr, &len, err);
	if (r == 0 && connect(fd, (struct sockaddr *)&addr, len) < 0)
		r = err_sys(err, "connect");
	return r;
}

int unix_make_connection(struct restore_ctx *ctx, const UnixIds *listener,
			 const UnixIds *client, int type,
			 const ProtobufCBinaryData *name, int ret[2],
			 struct err *err)
{
	auto_close int door = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	auto_close int caller = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	auto_close int path = -EBADF;
	int fd = -1, r;

	if (door < 0 || caller < 0)
		return err_sys(err, "socket");
	r = unix_bind_apart(ctx, door, name, &fd, err);
	path = fd;
	if (r == 0 && type == SOCK_DGRAM) {
		r = connect_here(caller, path, name, err);
		ret[0] = r < 0 ? -1 : take_fd(&caller);
		ret[1] = r < 0 ? -1 : take_fd(&door);
		return r;
	}
	if (r == 0)
		r = unix_listen(ctx, listener, door, 1, err);
	if (r == 0)
		r = unix_connect(ctx, client, caller, path, name, err);
	if (r < 0)
		return r;
	ret[1] = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	if (ret[1] < 0)
		return err_sys(err, "accept");
	ret[0] = take_fd(&caller);
	return 0;
}

struct letter {
	struct msghdr msg;
	struct iovec iov;
	uint8_t control[CMSG_SPACE(MESSAGE_MAX_FILES * sizeof(int)) +
			CMSG_SPACE(sizeof(struct ucred))]
		__attribute__((aligned(8)));
};

static void enclose(struct letter *l, int type, const void *data, size_t len)
{
	struct cmsghdr *c =
		(struct cmsghdr *)(l->control + l->msg.msg_controllen);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	l->msg.msg_controllen += CMSG_SPACE(len);
}

static int enclose_files(struct restore_ctx *ctx, struct letter *l,
			 const UnixMessageRecord *m, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fds[MESSAGE_MAX_FILES];

	if (m->n_objects > MESSAGE_MAX_FILES)
		return err_set(err, -EBADMSG, "%zu open files in a message",
			       m->n_objects);
	for (size_t i = 0; i < m->n_objects; i++) {
		fds[i] = e->get_fd(e->arg, m->objects[i]);
		if (fds[i] < 0)
			return err_set(err, -EBADMSG,
				       "open file %u, which travels, is not "
				       "there",
				       m->objects[i]);
	}
	if (m->n_objects)
		enclose(l, SCM_RIGHTS, fds, m->n_objects * sizeof(int));
	return 0;
}

static int enclose_sender(struct restore_ctx *ctx, struct letter *l,
			  const UnixMessageRecord *m, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	struct restore_task *task;
	struct ucred sender;
	int r;

	if (!m->sender)
		return 0;
	r = unix_check_ids(ctx->owner, m->sender, err);
	if (r == 0)
		r = e->enter(e->arg, m->sender->pid, &task, err);
	if (r < 0)
		return r;
	sender = (struct ucred){ task->pid, m->sender->uid, m->sender->gid };
	enclose(l, SCM_CREDENTIALS, &sender, sizeof(sender));
	return 0;
}

/* Pieces of a stream may be sent in more pieces: files go with the first. */
static int send_all(int fd, struct letter *l, struct err *err)
{
	bool more = true;

	while (more) {
		ssize_t n = sendmsg(fd, &l->msg, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return err_sys(err, "send %zu bytes", l->iov.iov_len);
		l->iov.iov_base = (uint8_t *)l->iov.iov_base + n;
		l->iov.iov_len -= (size_t)n;
		l->msg.msg_controllen = 0;
		more = l->iov.iov_len != 0;
	}
	return 0;
}

static int set_int(int fd, int name, int value, struct err *err)
{
	return setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)) < 0
		       ? err_sys(err, "option %d of a socket", name)
		       : 0;
}

/* With as much room as can be had, and afterwards with what it had. */
static int send_with_room(int fd, struct letter *l, struct err *err)
{
	socklen_t len = sizeof(int);
	struct err ignored;
	int size, r;

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0)
		return err_sys(err, "SO_SNDBUF");
	r = set_int(fd, SO_SNDBUF, INT_MAX / 2, err);
	if (r == 0)
		r = send_all(fd, l, err);
	if (r == 0)
		r = set_int(fd, SO_SNDBUF, size / 2, err);
	/* As if nobody had chosen it; kernels before 5.14 do not tell. */
	(void)set_int(fd, BUF_LOCK, 0, &ignored);
	return r;
}

int unix_send(struct restore_ctx *ctx, int fd, const struct sockaddr_un *to,
	      socklen_t to_len, const UnixMessageRecord *m, struct err *err)
{
	struct letter l = {
		.iov = { m->data.data, m->data.len },
	};
	int r;

	if (m->data.len > MESSAGE_MAX_BYTES)
		return err_set(err, -EBADMSG, "message of %zu bytes",
			       m->data.len);
	l.msg.msg_name = (void *)(uintptr_t)to;
	l.msg.msg_namelen = to ? to_len : 0;
	l.msg.msg_iov = &l.iov;
	l.msg.msg_iovlen = 1;
	l.msg.msg_control = l.control;
	r = enclose_files(ctx, &l, m, err);
	if (r == 0)
		r = enclose_sender(ctx, &l, m, err);
	return r < 0 ? r : send_with_room(fd, &l, err);
}
