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
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "images/tags.h"
#include "kernel/unix_diag.h"
#include "resource/holder.h"
#include "resource/open_file.h"
#include "resource/socket_options.h"
#include "resource/unix_make.h"
#include "util/cleanup.h"

enum { NO_READS = 1, NO_WRITES = 2, NEITHER = 3 };

static int socket_option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

static bool unix_match(const struct fd_view *fd)
{
	return fd->fd >= 0 && S_ISSOCK(fd->stat->st_mode) &&
	       fd->link[0] != '/' &&
	       socket_option(fd->own_fd, SO_DOMAIN) == AF_UNIX;
}

static const char *kind(int type)
{
	return type == SOCK_DGRAM       ? "Unix datagram socket"
	       : type == SOCK_SEQPACKET ? "Unix packet socket"
					: "Unix socket";
}

static void __attribute__((format(printf, 5, 6)))
refuse(const struct fd_view *fd, struct refusals *no, int type,
       const char *remedy, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd, remedy,
		     "%s %s", kind(type), what);
}

/* "at /path", "at @abstract", "without a name" */
static void print_name(const struct unix_socket *s, char *ret, size_t room)
{
	if (!s->name_len)
		snprintf(ret, room, "without a name");
	else if (!s->name[0])
		snprintf(ret, room, "at @%.*s", (int)s->name_len - 1,
			 s->name + 1);
	else
		snprintf(ret, room, "at %.*s", (int)s->name_len, s->name);
}

static void check_name(const struct fd_view *fd, const struct unix_socket *s,
		       struct refusals *no)
{
	char name[128];

	if (!s->name_len && !s->listening)
		return;
	print_name(s, name, sizeof(name));
	refuse(fd, no, s->type, "close it; pairs of sockets are kept", "%s%s",
	       name, s->listening ? ", listening" : "");
}

/* The other end is not of the job. */
static void refuse_peer(const struct dump_ctx *ctx, const struct fd_view *fd,
			const struct unix_socket *s,
			const struct unix_socket *peer, struct refusals *no)
{
	char name[128], link[48], who[96];
	pid_t holder;

	snprintf(link, sizeof(link), "socket:[%u]", peer->inode);
	holder = holder_outside_link(ctx, fd->task, link);
	/* Of a running job: on its way, or of a child that was just born. */
	if (!holder && !fd->task->leader)
		return;
	print_name(peer, name, sizeof(name));
	snprintf(who, sizeof(who), "somebody outside the job");
	if (holder)
		holder_name(holder, who, sizeof(who));
	refuse(fd, no, s->type, "close it, or run that process inside the job",
	       "connected to one %s of %s", name, who);
}

/*
 * What waits there came from here: if it takes more room here than it should,
 * there is something that cannot be seen.
 */
static int check_sent(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_socket *s, uint32_t peer,
		      struct refusals *no, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const struct unix_queue *q;
	const uint32_t *objects;
	bool hides = false;
	int r;

	if (!fd->task->leader || s->type == SOCK_STREAM)
		return 0;
	q = e->unix_queue(e->arg, peer, &objects);
	r = q && !q->problem
		    ? unix_queue_hides(q, s->type, fd->own_fd, &hides, err)
		    : 0;
	if (r == 0 && hides)
		refuse(fd, no, s->type, "let the job read it first",
		       "to which an empty packet was sent that a checkpoint "
		       "before this one has looked at");
	return r;
}

/* The other end is open: it has to be the job's. */
static int check_peer(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_socket *s, struct refusals *no,
		      struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct unix_socket peer = { 0 };
	uint32_t object;
	int r;

	r = unix_diag_find(s->peer, &peer, err);
	/* Closed meanwhile. */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	object = e->socket_object(e->arg, fd->stat->st_dev, s->peer);
	if (!object)
		refuse_peer(ctx, fd, s, &peer, no);
	else if (peer.peer != s->inode && fd->task->leader)
		refuse(fd, no, s->type, "close it",
		       "connected to one that is not connected to it");
	else
		r = check_sent(ctx, fd, s, object, no, err);
	unix_socket_done(&peer);
	return r;
}

struct search {
	uint32_t inode;
	bool found;
};

static int look_for(void *arg, const struct unix_socket *s, struct err *err)
{
	struct search *search = arg;

	(void)err;
	for (size_t i = 0; i < s->npending; i++)
		search->found |= s->pending[i] == search->inode;
	return search->found;
}

/* Has nobody accepted the connection yet? */
static int check_accepted(const struct fd_view *fd, const struct unix_socket *s,
			  struct refusals *no, struct err *err)
{
	struct search search = { .inode = s->inode };
	int r = unix_diag_all(true, look_for, &search, err);

	if (r == 0 && search.found)
		refuse(fd, no, s->type, "let the other side accept it",
		       "with a connection that nobody has accepted yet");
	return r;
}

static bool is_user(const struct dump_ctx *ctx, uint32_t uid, uint32_t gid)
{
	const struct user_id *owner = ctx->options->owner;

	if (!owner->uid)
		return true;
	for (size_t i = 0; i < owner->ngroups; i++)
		if (owner->groups[i] == gid)
			return uid == owner->uid;
	return uid == owner->uid && gid == owner->gid;
}

static int peer_ids(const struct fd_view *fd, struct ucred *ret,
		    struct err *err)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd->own_fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0
		       ? err_sys(err, "SO_PEERCRED")
		       : 0;
}

static int check_ids(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const struct unix_socket *s, struct refusals *no,
		     struct err *err)
{
	struct ucred ids;
	int r = peer_ids(fd, &ids, err);

	if (r < 0 || !s->has_peer || is_user(ctx, ids.uid, ids.gid))
		return r;
	refuse(fd, no, s->type, "let the job make it",
	       "whose other end was made by user %u and group %u", ids.uid,
	       ids.gid);
	return 0;
}

static void check_sender(const struct dump_ctx *ctx, const struct fd_view *fd,
			 int type, const struct unix_message *m,
			 struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;

	if (!m->sender.pid)
		return;
	if (!e->ns_pid(e->arg, m->sender.pid))
		refuse(fd, no, type, "let the job read it first",
		       "with a message, not read yet, of a process that is "
		       "not there any more (SO_PASSCRED)");
	else if (!is_user(ctx, m->sender.uid, m->sender.gid))
		refuse(fd, no, type, "let the job read it first",
		       "with a message, not read yet, of user %u",
		       m->sender.uid);
}

static void check_queue(const struct dump_ctx *ctx, const struct fd_view *fd,
			const struct unix_socket *s, struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;
	const uint32_t *objects;
	const struct unix_queue *q;

	/* Known of a job that stands still. */
	if (!fd->task->leader)
		return;
	q = e->unix_queue(e->arg, fd->object, &objects);
	if (q && q->problem)
		refuse(fd, no, s->type, "let the job read it first", "with %s",
		       q->problem);
	for (size_t i = 0; q && i < q->count; i++)
		check_sender(ctx, fd, s->type, &q->list[i], no);
}

static void check_own(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_socket *s, struct refusals *no)
{
	pid_t holder = holder_outside(ctx, fd);
	char who[96];

	if (!holder)
		return;
	holder_name(holder, who, sizeof(who));
	refuse(fd, no, s->type,
	       "run that process inside the job, or close the descriptor",
	       "shared with %s outside the job", who);
}

static int check_socket(const struct dump_ctx *ctx, const struct fd_view *fd,
			const struct unix_socket *s, struct refusals *no,
			struct err *err)
{
	int r = 0;

	check_own(ctx, fd, s, no);
	check_name(fd, s, no);
	if (s->has_peer && s->peer)
		r = check_peer(ctx, fd, s, no, err);
	else if (s->has_peer && s->type != SOCK_DGRAM)
		r = check_accepted(fd, s, no, err);
	if (r == 0)
		r = check_ids(ctx, fd, s, no, err);
	if (r == 0)
		check_queue(ctx, fd, s, no);
	return r;
}

static int unix_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct refusals *no, struct err *err)
{
	struct unix_socket s = { 0 };
	int r;

	r = open_file_check(ctx, fd, no, err);
	if (r == 0)
		r = socket_options_check(fd, no, err);
	if (r < 0)
		return r;
	r = unix_diag_find((uint32_t)fd->stat->st_ino, &s, err);
	if (r == 0)
		r = check_socket(ctx, fd, &s, no, err);
	else if (r == -ENOENT)
		refuse(fd, no, socket_option(fd->own_fd, SO_TYPE),
		       "run the job without network namespaces of its own",
		       "of another network namespace, or that the kernel does "
		       "not tell of (CONFIG_UNIX_DIAG)");
	unix_socket_done(&s);
	return r == -ENOENT ? 0 : r;
}

static bool has_error(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

static int put_message(const struct dump_ctx *ctx, uint32_t socket,
		       const struct unix_message *m, const uint32_t *objects,
		       struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	UnixMessageRecord rec = UNIX_MESSAGE_RECORD__INIT;
	UnixIds sender = UNIX_IDS__INIT;

	rec.socket = socket;
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
	return img_put(ctx->out, TAG_UNIX_MESSAGE, &rec.base, err);
}

static int put_queue(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const uint32_t *objects = NULL;
	const struct unix_queue *q =
		e->unix_queue(e->arg, fd->object, &objects);
	int r = 0;

	for (size_t i = 0; q && i < q->count && r == 0; i++) {
		r = put_message(ctx, fd->object, &q->list[i], objects, err);
		objects += q->list[i].nfds;
	}
	return r;
}

/* Who is not there any more is told as the first who has this end. */
static int fill_ids(const struct dump_ctx *ctx, const struct fd_view *fd,
		    UnixIds *ids, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct ucred cred;
	int r = peer_ids(fd, &cred, err);

	if (r < 0)
		return r;
	ids->pid = cred.pid ? e->ns_pid(e->arg, cred.pid) : 0;
	if (!ids->pid)
		ids->pid = fd->task->ns_pid;
	ids->uid = cred.uid;
	ids->gid = cred.gid;
	return 0;
}

static int fill_peer(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const struct unix_socket *s, UnixSocketRecord *rec,
		     struct err *err)
{
	const struct dump_engine *e = ctx->engine;

	if (s->peer)
		rec->peer = e->socket_object(e->arg, fd->stat->st_dev, s->peer);
	if (rec->peer)
		return 0;
	rec->has_peer_closed = rec->peer_closed = 1;
	rec->has_reset = rec->reset = has_error(fd->own_fd);
	return object_get(ctx->objects, OBJECT_SOCKET_END, s->inode, 0, 0,
			  &rec->peer, NULL, err);
}

static int put_socket(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_socket *s, UnixSocketRecord *rec,
		      struct err *err)
{
	struct socket_options options = { 0 };
	UnixIds ids = UNIX_IDS__INIT;
	int r = 0;

	rec->type = s->type;
	rec->shutdown = s->shutdown;
	if (s->has_peer) {
		rec->peer_ids = &ids;
		r = fill_ids(ctx, fd, &ids, err);
		if (r == 0)
			r = fill_peer(ctx, fd, s, rec, err);
	}
	if (r == 0)
		r = socket_options_read(fd->own_fd, &options, err);
	rec->options = options.list;
	rec->n_options = options.count;
	if (r == 0)
		r = img_put(ctx->out, TAG_UNIX_SOCKET, &rec->base, err);
	socket_options_done(&options);
	return r;
}

static int unix_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct err *err)
{
	UnixSocketRecord rec = UNIX_SOCKET_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	struct unix_socket s = { 0 };
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = unix_diag_find((uint32_t)fd->stat->st_ino, &s, err);
	if (r == 0)
		r = put_socket(ctx, fd, &s, &rec, err);
	unix_socket_done(&s);
	return r < 0 ? r : put_queue(ctx, fd, err);
}

/* The record of the other end, which must say so too. */
static int check_pair(const struct restore_ctx *ctx,
		      const UnixSocketRecord *rec, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const UnixSocketRecord *peer = (const UnixSocketRecord *)e->find(
		e->arg, TAG_UNIX_SOCKET, rec->peer);

	if (!rec->peer_ids)
		return err_set(err, -EBADMSG, "made by nobody");
	if (rec->peer_closed ? peer != NULL
			     : !peer || peer == rec || peer->peer_closed ||
				       peer->peer != rec->open->object ||
				       peer->type != rec->type)
		return err_set(err, -EBADMSG, "not connected to %u", rec->peer);
	return 0;
}

static int make_pair(struct restore_ctx *ctx, const UnixSocketRecord *rec,
		     struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int first = -EBADF, second = -EBADF;
	int ends[2], r;

	r = check_pair(ctx, rec, err);
	/* The other end was there first. */
	if (r < 0 || e->get_fd(e->arg, rec->open->object) >= 0)
		return r;
	r = unix_make_pair(ctx, rec->peer_ids, (int)rec->type, ends, err);
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
	if (r == 0)
		r = shut_down(fd, rec->shutdown, err);
	return r < 0 ? r
		     : socket_options_set(fd, rec->options, rec->n_options,
					  err);
}

static int unix_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		     const ProtobufCMessage *msg, struct err *err)
{
	const UnixSocketRecord *rec = (const UnixSocketRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
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
	from = e->get_fd(e->arg, to->peer);
	if (from < 0)
		return err_set(err, -EBADMSG,
			       "message for socket %u, from "
			       "nobody",
			       rec->socket);
	return unix_send(ctx, from, rec, err);
}

const struct resource_ops res_unix = {
	.name = "Unix socket",
	.saved = "pairs: what waits in them, files on their way, options",
	.refused = "names; whatever is connected to somebody outside the job",
	.changes = "who made an end, where that process has ended",
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

const struct resource_ops res_unix_message = {
	.name = "Unix socket",
	.tag = TAG_UNIX_MESSAGE,
	.scope = SCOPE_FILE,
	.stage2 = STAGE_EARLY,
	.restore2 = message_send,
};
