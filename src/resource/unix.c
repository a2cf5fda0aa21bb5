// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unix sockets.  The kernel tells who is connected to whom (sock_diag); what
 * waits in them was read when the job stood still.  At the restore both ends
 * of a connection are made at once, also one that nobody has any more: it is
 * closed when all messages are sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "images/tags.h"
#include "resource/open_file.h"
#include "resource/socket_options.h"
#include "resource/unix_bind.h"
#include "resource/unix_check.h"
#include "resource/unix_make.h"
#include "resource/unix_name.h"
#include "resource/unix_view.h"
#include "util/cleanup.h"

enum { NO_READS = 1, NO_WRITES = 2, NEITHER = 3 };

static bool unix_match(const struct fd_view *fd)
{
	return fd->fd >= 0 && S_ISSOCK(fd->stat->st_mode) &&
	       fd->link[0] != '/' &&
	       unix_option(fd->own_fd, SO_DOMAIN) == AF_UNIX;
}

static bool has_error(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

/* Of datagrams that did not come from the other end. */
static int fill_from(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const struct unix_relation *rel,
		     const struct unix_message *m, UnixMessageRecord *rec,
		     struct err *err)
{
	int r;

	if (unix_sends_again(rel) || rel->own.type != SOCK_DGRAM)
		return 0;
	rec->has_from_other = rec->from_other = !m->from_len;
	if (!m->from_len)
		return 0;
	r = unix_find_sender(ctx, fd, m->from, m->from_len, &rec->from, err);
	rec->has_from = rec->from != 0;
	if (r < 0 || rec->has_from)
		return r;
	rec->has_from_name = 1;
	rec->from_name.data = (uint8_t *)m->from;
	rec->from_name.len =
		m->from[0] ? strnlen(m->from, m->from_len) : m->from_len;
	return 0;
}

static int put_message(const struct dump_ctx *ctx, const struct fd_view *fd,
		       const struct unix_relation *rel,
		       const struct unix_message *m, const uint32_t *objects,
		       struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	UnixMessageRecord rec = UNIX_MESSAGE_RECORD__INIT;
	UnixIds sender = UNIX_IDS__INIT;
	int r;

	rec.socket = fd->object;
	rec.data.data = m->data;
	rec.data.len = m->len;
	rec.objects = (uint32_t *)objects;
	rec.n_objects = m->nfds;
	if (m->sender.pid) {
		sender.pid = e->ns_pid(e->arg, m->sender.pid);
		sender.uid = m->sender.uid;
		sender.gid = m->sender.gid;
		rec.sender = &sender;
	}
	r = fill_from(ctx, fd, rel, m, &rec, err);
	return r < 0 ? r : img_put(ctx->out, TAG_UNIX_MESSAGE, &rec.base, err);
}

static int put_queue(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const struct unix_relation *rel, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const uint32_t *objects = NULL;
	const struct unix_queue *q =
		e->unix_queue(e->arg, fd->object, &objects);
	int r = 0;

	for (size_t i = 0; q && i < q->count && r == 0; i++) {
		r = put_message(ctx, fd, rel, &q->list[i], objects, err);
		objects += q->list[i].nfds;
	}
	return r;
}

static void fill_own_ids(const struct fd_view *fd, UnixIds *ids)
{
	ids->pid = fd->task->ns_pid;
	ids->uid = fd->task->status->uids[1];
	ids->gid = fd->task->status->gids[1];
}

/*
 * Who is not there any more is told as the first who has this end; so is
 * another user's service.
 */
static int fill_ids(const struct dump_ctx *ctx, const struct fd_view *fd,
		    UnixIds *ids, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct ucred cred;
	int r = unix_peer_ids(fd, &cred, err);

	if (r < 0)
		return r;
	fill_own_ids(fd, ids);
	if (cred.uid == (uid_t)-1 || !unix_is_user(ctx, cred.uid, cred.gid))
		return 0;
	if (cred.pid && e->ns_pid(e->arg, cred.pid))
		ids->pid = e->ns_pid(e->arg, cred.pid);
	ids->uid = cred.uid;
	ids->gid = cred.gid;
	return 0;
}

static int fill_closed(const struct dump_ctx *ctx, const struct fd_view *fd,
		       const struct unix_relation *rel, UnixSocketRecord *rec,
		       struct err *err)
{
	rec->has_peer_closed = rec->peer_closed = 1;
	rec->has_reset = rec->reset =
		rel->kind == UNIX_CLOSED && has_error(fd->own_fd);
	/* An abstract name is in use there still. */
	if (rel->peer.name_len && !rel->accepted &&
	    (rel->kind != UNIX_OUTSIDE || rel->peer.has_file) &&
	    (rel->own.type != SOCK_DGRAM || !rel->made)) {
		rec->has_peer_name = 1;
		rec->peer_name.data = (uint8_t *)rel->peer.name;
		rec->peer_name.len = rel->peer.name_len;
	}
	return object_get(ctx->objects, OBJECT_SOCKET_END, rel->own.inode, 0, 0,
			  &rec->peer, NULL, err);
}

static int fill_relation(const struct dump_ctx *ctx, const struct fd_view *fd,
			 const struct unix_relation *rel, UnixSocketRecord *rec,
			 struct err *err)
{
	if (rel->accepted) {
		rec->has_accepted = 1;
		rec->accepted.data = (uint8_t *)rel->own.name;
		rec->accepted.len = rel->own.name_len;
	}
	switch (rel->kind) {
	case UNIX_ALONE:
	case UNIX_PENDING:
		return 0;
	case UNIX_PAIR:
		rec->peer = rel->object;
		return 0;
	case UNIX_RECEIVER:
		rec->has_receiver = 1;
		rec->receiver = rel->object;
		return 0;
	case UNIX_CLOSED:
		break;
	case UNIX_OUTSIDE:
		if (rel->policy == UNIX_REFUSE)
			return err_set(err, -ENOTSUP, "connected to others");
		if (rel->policy == UNIX_CLOSE)
			break;
		rec->has_service = 1;
		rec->service.data = (uint8_t *)rel->peer.name;
		rec->service.len = rel->peer.name_len;
		return 0;
	}
	return fill_closed(ctx, fd, rel, rec, err);
}

static int put_socket(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_relation *rel, UnixSocketRecord *rec,
		      struct err *err)
{
	struct socket_options options = { .count = 0 };
	UnixIds ids = UNIX_IDS__INIT, waits = UNIX_IDS__INIT;
	int r;

	rec->type = rel->own.type;
	rec->shutdown = rel->own.shutdown;
	rec->peer_ids = &ids;
	r = fill_ids(ctx, fd, &ids, err);
	if (r == 0)
		r = fill_relation(ctx, fd, rel, rec, err);
	if (!rec->peer)
		rec->peer_ids = NULL;
	fill_own_ids(fd, &waits);
	if (rel->kind == UNIX_PENDING)
		rec->waits = &waits;
	if (r == 0)
		r = socket_options_read(fd->own_fd, &options, err);
	rec->options = options.list;
	rec->n_options = options.count;
	if (r == 0)
		r = img_put(ctx->out, TAG_UNIX_SOCKET, &rec->base, err);
	return r;
}

static int unix_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct err *err)
{
	UnixSocketRecord rec = UNIX_SOCKET_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	struct unix_relation rel = { 0 };
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = unix_relate(ctx, fd, &rel, err);
	if (r == 0)
		r = put_socket(ctx, fd, &rel, &rec, err);
	if (r == 0 && unix_has_own_name(&rel))
		r = unix_name_put(ctx, fd, &rel.own, err);
	if (r == 0)
		r = put_queue(ctx, fd, &rel, err);
	unix_relation_done(&rel);
	return r;
}

/* The record of the other end, which must say so too; NULL: closed. */
static int find_peer(const struct restore_ctx *ctx, const UnixSocketRecord *rec,
		     const UnixSocketRecord **ret, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const UnixSocketRecord *peer = (const UnixSocketRecord *)e->find(
		e->arg, TAG_UNIX_SOCKET, rec->peer);

	if (!rec->peer_ids)
		return err_set(err, -EBADMSG, "made by nobody");
	if (rec->peer_closed
		    ? peer != NULL
		    : !peer || peer == rec || peer->peer_closed ||
			      peer->peer != rec->open->object ||
			      peer->type != rec->type || !peer->peer_ids)
		return err_set(err, -EBADMSG, "not connected to %u", rec->peer);
	*ret = peer;
	return 0;
}

/* ends[0] is that of rec, ends[1] that of peer, of which may be no record. */
static int make_ends(struct restore_ctx *ctx, const UnixSocketRecord *rec,
		     const UnixSocketRecord *peer, int ends[2], struct err *err)
{
	const int type = (int)rec->type;
	int made[2], r;

	if (rec->has_accepted) {
		r = unix_make_connection(ctx, (peer ? peer : rec)->peer_ids,
					 rec->peer_ids, type, &rec->accepted,
					 made, err);
		if (r < 0)
			return r;
		ends[0] = made[1];
		ends[1] = made[0];
		return 0;
	}
	if (peer && peer->has_accepted)
		return unix_make_connection(ctx, rec->peer_ids, peer->peer_ids,
					    type, &peer->accepted, ends, err);
	if (!peer && rec->has_peer_name)
		return unix_make_connection(ctx, rec->peer_ids, rec->peer_ids,
					    type, &rec->peer_name, ends, err);
	return unix_make_pair(ctx, rec->peer_ids, type, ends, err);
}

static int make_pair(struct restore_ctx *ctx, const UnixSocketRecord *rec,
		     struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int first = -EBADF, second = -EBADF;
	const UnixSocketRecord *peer = NULL;
	int ends[2], r;

	r = find_peer(ctx, rec, &peer, err);
	/* The other end was there first. */
	if (r < 0 || e->get_fd(e->arg, rec->open->object) >= 0)
		return r;
	r = make_ends(ctx, rec, peer, ends, err);
	if (r < 0)
		return r;
	first = ends[0];
	second = ends[1];
	r = e->set_fd(e->arg, rec->open->object, first, err);
	if (r < 0)
		return r;
	(void)take_fd(&first);
	r = e->set_fd(e->arg, rec->peer, second, err);
	if (r == 0)
		(void)take_fd(&second);
	return r;
}

static int make_single(struct restore_ctx *ctx, const UnixSocketRecord *rec,
		       struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = socket(AF_UNIX, (int)rec->type | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = e->set_fd(e->arg, rec->open->object, fd, err);
	if (r == 0)
		(void)take_fd(&fd);
	return r;
}

static int unix_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			struct err *err)
{
	const UnixSocketRecord *rec = (const UnixSocketRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int r;

	if (rec->type != SOCK_STREAM && rec->type != SOCK_DGRAM &&
	    rec->type != SOCK_SEQPACKET)
		return err_set(err, -EBADMSG, "type %u", rec->type);
	r = rec->peer ? make_pair(ctx, rec, err) : make_single(ctx, rec, err);
	return r < 0 ? r
		     : open_file_apply(e->get_fd(e->arg, rec->open->object),
				       rec->open, err);
}

/* The other end goes, with or without what it has not read. */
static int close_peer(struct restore_ctx *ctx, int fd,
		      const UnixSocketRecord *rec, struct err *err)
{
	const struct restore_engine *e = ctx->engine;

	if (rec->reset && send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
		return err_sys(err, "send what is not read");
	e->drop_fd(e->arg, rec->peer);
	return 0;
}

static int shut_down(int fd, uint32_t how, struct err *err)
{
	static const int calls[] = { [NO_READS] = SHUT_RD,
				     [NO_WRITES] = SHUT_WR,
				     [NEITHER] = SHUT_RDWR };

	if (!how)
		return 0;
	if (how > NEITHER)
		return err_set(err, -EBADMSG, "shut down %u", how);
	return shutdown(fd, calls[how]) < 0 ? err_sys(err, "shutdown") : 0;
}

/* How to reach a socket that has a name; a path is one that we have made. */
static int address_of(const struct restore_ctx *ctx, uint32_t socket,
		      struct sockaddr_un *ret, socklen_t *ret_len,
		      struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const UnixNameRecord *name =
		(const UnixNameRecord *)e->find(e->arg, TAG_UNIX_NAME, socket);
	int path;

	if (!name || !name->name.len)
		return err_set(err, -EBADMSG, "socket %u has no name", socket);
	if (!name->name.data[0])
		return unix_address(&name->name, ret, ret_len, err);
	path = e->get_fd(e->arg, name->path_object);
	if (path < 0)
		return err_set(err, -EBADMSG, "socket %u has no path yet",
			       socket);
	unix_address_of_path(path, ret, ret_len);
	return 0;
}

static int connect_receiver(const struct restore_ctx *ctx, int fd,
			    uint32_t receiver, struct err *err)
{
	struct sockaddr_un addr;
	socklen_t len;
	int r = address_of(ctx, receiver, &addr, &len, err);

	if (r < 0)
		return r;
	return connect(fd, (struct sockaddr *)&addr, len) < 0
		       ? err_sys(err, "connect to socket %u", receiver)
		       : 0;
}

static int reach_service(const struct restore_ctx *ctx, int fd,
			 const char *path, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	auto_close int file =
		e->open_path(e->arg, path, O_PATH | O_CLOEXEC, 0, err);
	struct sockaddr_un addr;
	socklen_t len;
	int r;

	if (file < 0)
		return file;
	unix_address_of_path(file, &addr, &len);
	r = as_user(&user, err);
	if (r < 0)
		return r;
	r = connect(fd, (struct sockaddr *)&addr, len) < 0
		    ? err_sys(err, "connect to %s", path)
		    : 0;
	as_root();
	return r;
}

/*
 * Where there is none, it is as if that had ended: programs connect again.
 * The snapshot only chooses: to what there are connections the table says.
 */
static int connect_service(const struct restore_ctx *ctx, int fd,
			   const UnixSocketRecord *rec, struct err *err)
{
	const struct unix_service *service =
		unix_service_find((const char *)rec->service.data,
				  rec->service.len, (int)rec->type);
	auto_free char *path =
		strndup((const char *)rec->service.data, rec->service.len);
	struct err ignored;

	if (!path)
		return err_num(err, ENOMEM, "path");
	if (!service || service->policy != UNIX_RECONNECT)
		return err_set(err, -EBADMSG,
			       "connected to %s, which is no service", path);
	(void)reach_service(ctx, fd, path, &ignored);
	return 0;
}

/* When all messages are where they were. */
static int unix_finish(struct restore_ctx *ctx, struct restore_task *task,
		       struct restore_thread *thread,
		       const ProtobufCMessage *msg, struct err *err)
{
	const UnixSocketRecord *rec = (const UnixSocketRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, rec->open->object), r = 0;

	(void)task;
	(void)thread;
	if (rec->peer_closed)
		r = close_peer(ctx, fd, rec, err);
	else if (rec->has_receiver && rec->type == SOCK_DGRAM)
		r = connect_receiver(ctx, fd, rec->receiver, err);
	else if (rec->has_service)
		r = connect_service(ctx, fd, rec, err);
	if (r == 0)
		r = shut_down(fd, rec->shutdown, err);
	return r < 0 ? r
		     : socket_options_set(fd, rec->options, rec->n_options,
					  OPTIONS_AFTERWARDS, err);
}

static int unix_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		     const ProtobufCMessage *msg, struct err *err)
{
	const UnixSocketRecord *rec = (const UnixSocketRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

/* One that is not there any more, or had no name. */
static int send_from_stranger(struct restore_ctx *ctx,
			      const UnixMessageRecord *rec, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	auto_close int path = -EBADF;
	struct sockaddr_un addr;
	int file = -1, r = 0;
	socklen_t len;

	if (fd < 0)
		return err_sys(err, "socket");
	if (rec->has_from_name)
		r = unix_bind_apart(ctx, fd, &rec->from_name, &file, err);
	path = file;
	if (r == 0)
		r = address_of(ctx, rec->socket, &addr, &len, err);
	return r < 0 ? r : unix_send(ctx, fd, &addr, len, rec, err);
}

static int send_from_other(struct restore_ctx *ctx,
			   const UnixMessageRecord *rec, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, rec->from);
	struct sockaddr_un addr;
	socklen_t len;
	int r;

	if (fd < 0 || !e->find(e->arg, TAG_UNIX_SOCKET, rec->from))
		return err_set(err, -EBADMSG, "message of no socket %u",
			       rec->from);
	r = address_of(ctx, rec->socket, &addr, &len, err);
	return r < 0 ? r : unix_send(ctx, fd, &addr, len, rec, err);
}

static int message_send(struct restore_ctx *ctx, struct restore_task *task,
			struct restore_thread *thread,
			const ProtobufCMessage *msg, struct err *err)
{
	const UnixMessageRecord *rec = (const UnixMessageRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const UnixSocketRecord *to = (const UnixSocketRecord *)e->find(
		e->arg, TAG_UNIX_SOCKET, rec->socket);
	int from;

	(void)task;
	(void)thread;
	if (!to)
		return err_set(err, -EBADMSG, "message for socket %u",
			       rec->socket);
	if (rec->has_from)
		return send_from_other(ctx, rec, err);
	if (rec->has_from_name || rec->from_other)
		return send_from_stranger(ctx, rec, err);
	from = e->get_fd(e->arg, to->peer);
	if (from < 0)
		return err_set(err, -EBADMSG,
			       "message for socket %u, from nobody",
			       rec->socket);
	return unix_send(ctx, from, NULL, 0, rec, err);
}

const struct resource_ops res_unix = {
	.name = "Unix socket",
	.saved = "names, connections, what waits and travels, options, makers",
	.refused = "connections to processes outside the job (but see "
		   "--peers), urgent data",
	.changes = "makers that have ended; sssd, nscd, munge: closed; "
		   "syslog: connected anew",
	.tag = TAG_UNIX_SOCKET,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = unix_match,
	.check_file = unix_check,
	.dump_file = unix_dump,
	.restore_file = unix_restore,
	.late_file = unix_late,
	.stage2 = STAGE_MAP,
	.restore2 = unix_finish,
};

const struct resource_ops res_unix_name = {
	.name = "Unix socket",
	.tag = TAG_UNIX_NAME,
	.scope = SCOPE_FILE,
	.stage2 = STAGE_EARLY,
	.restore2 = unix_name_restore,
};

const struct resource_ops res_unix_message = {
	.name = "Unix socket",
	.tag = TAG_UNIX_MESSAGE,
	.scope = SCOPE_FILE,
	.stage2 = STAGE_EARLY,
	.restore2 = message_send,
};
