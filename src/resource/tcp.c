// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP sockets.  A connection is saved when both its ends are of the job: what
 * is on its way between them, and which of them have been shut.  At the
 * restore it is made as any program makes one (repair/pair.h).
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/sockdiag.h"
#include "repair/leftover.h"
#include "repair/pair.h"
#include "repair/stream.h"
#include "resource/net_place.h"
#include "resource/net_socket.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "resource/tcp_peer.h"
#include "util/cleanup.h"

/* For what is written in one piece, which takes less room. */
#define MORE_ROOM 65536u

static bool tcp_match(const struct fd_view *fd)
{
	return net_match(fd, SOCK_STREAM, IPPROTO_TCP);
}

/* The other end, open in the worker; -1 when it is closed. */
static int open_peer(const struct dump_ctx *ctx, const struct tcp_peer *peer,
		     int *ret, struct err *err)
{
	const struct dump_engine *e = ctx->engine;

	*ret = -1;
	return peer->kind == TCP_PEER_INSIDE
		       ? e->open_object(e->arg, peer->object, ret, err)
		       : 0;
}

struct end_parts {
	SocketAddress local, peer;
	uint8_t local_host[16], peer_host[16];
};

/* May others have to know this port? */
static bool is_listened(const union net_address *at)
{
	const union net_address nobody = { .any.sa_family = at->any.sa_family };
	struct tcp_seen seen;
	struct err ignored;

	return sockdiag_tcp(at, &nobody, &seen, &ignored) != -ENOENT;
}

static int fill_end(int fd, uint32_t object, TcpEnd *ret,
		    struct end_parts *parts, struct err *err)
{
	union net_address local, peer;
	uint8_t state;
	int r;

	r = net_local(fd, &local, err);
	if (r == 0)
		r = net_peer(fd, &peer, err);
	if (r == 0)
		r = stream_state(fd, &state, err);
	if (r < 0)
		return r;
	/* One that has ended was connected. */
	if (!peer.any.sa_family)
		peer = local;
	ret->object = object;
	ret->domain = local.any.sa_family;
	ret->v6only = local.any.sa_family == AF_INET6 &&
		      net_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
	ret->finished = stream_has_ended(state);
	net_put_address(&local, &parts->local, parts->local_host);
	net_put_address(&peer, &parts->peer, parts->peer_host);
	ret->local = &parts->local;
	ret->peer = &parts->peer;
	ret->receive_buffer = (uint32_t)net_option(fd, SOL_SOCKET, SO_RCVBUF);
	ret->send_buffer = (uint32_t)net_option(fd, SOL_SOCKET, SO_SNDBUF);
	ret->has_any_port = 1;
	ret->any_port = !is_listened(&local);
	return 0;
}

/* Nobody has it: it is what its other end takes it for. */
static void fill_closed(const TcpEnd *other, uint32_t object, TcpEnd *ret)
{
	*ret = *other;
	ret->object = object;
	ret->closed = 1;
	ret->finished = 1;
	ret->any_port = 1;
	ret->local = other->peer;
	ret->peer = other->local;
}

static int put_data(const struct dump_ctx *ctx, uint32_t connection,
		    uint32_t end, const struct tcp_stream *s, struct err *err)
{
	int r = 0;

	for (size_t done = 0; done < s->len && r == 0;) {
		TcpDataRecord rec = TCP_DATA_RECORD__INIT;
		size_t n = s->len - done;

		if (n > STREAM_DATA_BYTES)
			n = STREAM_DATA_BYTES;
		rec.connection = connection;
		rec.end = end;
		rec.data.data = s->data + done;
		rec.data.len = n;
		r = img_put(ctx->out, TAG_TCP_DATA, &rec.base, err);
		done += n;
	}
	return r;
}

static int put_connection(const struct dump_ctx *ctx, uint32_t connection,
			  TcpEnd *ends[2], const struct tcp_stream streams[2],
			  struct err *err)
{
	TcpConnectionRecord rec = TCP_CONNECTION_RECORD__INIT;
	int r;

	for (int i = 0; i < 2; i++) {
		ends[i]->unread = streams[i].unread;
		ends[i]->bytes = streams[i].len;
	}
	rec.connection = connection;
	rec.ends = ends;
	rec.n_ends = 2;
	r = img_put(ctx->out, TAG_TCP_CONNECTION, &rec.base, err);
	for (uint32_t i = 0; i < 2 && r == 0; i++)
		r = put_data(ctx, connection, i, &streams[i], err);
	return r;
}

static int read_streams(int own, int other, struct tcp_stream streams[2],
			struct err *err)
{
	int r = stream_read(other, own, STREAM_MAX_BYTES, &streams[0], err);

	return r < 0 ? r
		     : stream_read(own, other, STREAM_MAX_BYTES, &streams[1],
				   err);
}

/* Streams are numbered by the end that reads them. */
static int dump_connection(const struct dump_ctx *ctx, const struct fd_view *fd,
			   uint32_t connection, const struct tcp_peer *peer,
			   struct err *err)
{
	TcpEnd own = TCP_END__INIT, other = TCP_END__INIT;
	TcpEnd *ends[2] = { &own, &other };
	struct tcp_stream streams[2] = { 0 };
	struct end_parts parts[2];
	auto_close int other_fd = -EBADF;
	uint32_t closed = 0;
	int r;

	r = open_peer(ctx, peer, &other_fd, err);
	if (r == 0)
		r = fill_end(fd->own_fd, fd->object, &own, &parts[0], err);
	if (r == 0 && other_fd >= 0)
		r = fill_end(other_fd, peer->object, &other, &parts[1], err);
	if (r == 0 && other_fd < 0)
		r = object_get(ctx->objects, OBJECT_CONNECTION,
			       fd->stat->st_ino, 0, 1, &closed, NULL, err);
	if (r < 0)
		return r;
	if (other_fd < 0)
		fill_closed(&own, closed, &other);
	r = read_streams(fd->own_fd, other_fd, streams, err);
	if (r == 0)
		r = put_connection(ctx, connection, ends, streams, err);
	free(streams[0].data);
	free(streams[1].data);
	return r;
}

/*
 * Of an end that is here alone, what there is to be read: some other end will
 * say it again, and then end as this one's has, or as is wanted for it.
 */
static int dump_alone(const struct dump_ctx *ctx, const struct fd_view *fd,
		      bool reset, TcpRecord *rec, struct err *err)
{
	TcpEnd own = TCP_END__INIT, other;
	TcpEnd *ends[2] = { &other, &own };
	struct tcp_stream streams[2] = { 0 };
	struct end_parts parts;
	uint32_t numbers[2] = { 0 };
	int r;

	r = fill_end(fd->own_fd, fd->object, &own, &parts, err);
	for (uint64_t i = 0; i < 2 && r == 0; i++)
		r = object_get(ctx->objects, OBJECT_CONNECTION,
			       fd->stat->st_ino, 0, 2 + i, &numbers[i], NULL,
			       err);
	if (r < 0)
		return r;
	own.finished = !reset;
	parts.peer = parts.local;
	parts.peer.port = 0;
	fill_closed(&own, numbers[0], &other);
	other.has_reset = 1;
	other.reset = reset;
	r = stream_read(-1, fd->own_fd, STREAM_MAX_BYTES, &streams[1], err);
	if (r == 0)
		r = put_connection(ctx, numbers[1], ends, streams, err);
	free(streams[1].data);
	rec->kind = TCP_RECORD__KIND__CONNECTED;
	return r;
}

/* Once for both of its ends. */
static int dump_end(const struct dump_ctx *ctx, const struct fd_view *fd,
		    TcpRecord *rec, struct err *err)
{
	uint64_t own = fd->stat->st_ino, a, b;
	struct pollfd p = { .fd = fd->own_fd, .events = POLLRDHUP };
	struct tcp_peer peer;
	uint32_t connection;
	uint8_t state;
	bool first;
	int r;

	r = tcp_peer_find(ctx, fd, &peer, err);
	if (r < 0)
		return r;
	if (tcp_peer_is_reset(ctx, &peer))
		return dump_alone(ctx, fd, true, rec, err);
	if (peer.kind != TCP_PEER_INSIDE && peer.kind != TCP_PEER_CLOSED)
		return err_set(err, -ENOTSUP, "its other end is gone");
	a = peer.inode < own ? peer.inode : own;
	b = peer.inode < own ? own : peer.inode;
	r = object_get(ctx->objects, OBJECT_CONNECTION, a, b, 0, &connection,
		       &first, err);
	if (r == 0 && first)
		r = dump_connection(ctx, fd, connection, &peer, err);
	if (r == 0)
		r = stream_state(fd->own_fd, &state, err);
	if (r < 0)
		return r;
	rec->kind = TCP_RECORD__KIND__CONNECTED;
	rec->has_read_shut = 1;
	rec->read_shut = !stream_sees_end(state) && poll(&p, 1, 0) == 1 &&
			 p.revents & POLLRDHUP;
	return 0;
}

static int dump_kind(const struct dump_ctx *ctx, const struct fd_view *fd,
		     TcpRecord *rec, struct err *err)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd->own_fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return err_sys(err, "TCP_INFO");
	if (net_has_ended(fd->own_fd))
		return dump_alone(ctx, fd, false, rec, err);
	if (info.tcpi_state == TCP_CLOSE) {
		rec->kind = TCP_RECORD__KIND__CLOSED;
		return 0;
	}
	if (info.tcpi_state != TCP_LISTEN)
		return dump_end(ctx, fd, rec, err);
	/* Of one that listens these tell of who waits, and how many may. */
	rec->kind = TCP_RECORD__KIND__LISTENING;
	rec->has_backlog = 1;
	rec->backlog = info.tcpi_sacked;
	return 0;
}

static int tcp_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		    struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_free struct net_parts *parts = calloc(1, sizeof(*parts));
	SocketCommon common = SOCKET_COMMON__INIT;
	TcpRecord rec = TCP_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	int r;

	if (!parts)
		return err_num(err, ENOMEM, "socket");
	rec.open = &open;
	rec.common = &common;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = net_fill(fd, &common, parts, err);
	if (r == 0)
		r = dump_kind(ctx, fd, &rec, err);
	if (r == 0 && rec.kind == TCP_RECORD__KIND__CONNECTED)
		r = e->end_quietly(e->arg, fd->own_fd, err);
	return r < 0 ? r : img_put(ctx->out, TAG_TCP, &rec.base, err);
}

static uint32_t more(uint32_t buffer, uint64_t bytes)
{
	uint64_t needed = 2 * bytes + MORE_ROOM;

	return needed > buffer ? (uint32_t)needed : buffer;
}

/* All is sent at once, and what was there to be read arrives at once. */
static int make_socket(const struct restore_ctx *ctx, const TcpEnd *end,
		       const TcpEnd *other, struct err *err)
{
	int only = end->v6only;
	int fd = net_make(ctx, end->domain, SOCK_STREAM,
			  more(end->receive_buffer, end->unread),
			  more(end->send_buffer, other->bytes), err);

	if (fd >= 0 && end->domain == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) <
		    0) {
		int r = err_sys(err, "IPV6_V6ONLY");

		close(fd);
		return r;
	}
	return fd;
}

static int check_ends(const TcpConnectionRecord *rec, struct err *err)
{
	if (rec->n_ends != 2)
		return err_set(err, -EBADMSG, "%zu ends", rec->n_ends);
	for (int i = 0; i < 2; i++)
		if (!rec->ends[i]->object ||
		    rec->ends[i]->bytes > STREAM_MAX_BYTES ||
		    (rec->ends[i]->reset && !rec->ends[i]->closed) ||
		    rec->ends[i]->unread > rec->ends[i]->bytes)
			return err_set(err, -EBADMSG, "impossible connection");
	return 0;
}

/* first: which end connects; the other one listens. */
static int try_roles(const struct restore_ctx *ctx,
		     const TcpConnectionRecord *rec,
		     const union net_address at[2], int first, int ret[2],
		     struct err *err)
{
	const TcpEnd *from = rec->ends[first], *to = rec->ends[!first];
	auto_close int connects = -EBADF, listens = -EBADF;
	int r, got = -1;

	connects = make_socket(ctx, from, to, err);
	if (connects < 0)
		return connects;
	listens = make_socket(ctx, to, from, err);
	if (listens < 0)
		return listens;
	r = net_begin(ctx, err);
	if (r < 0)
		return r;
	r = pair_join(connects, &at[first], listens, &at[!first], &got, err);
	net_end(ctx);
	if (r < 0)
		return r;
	ret[first] = take_fd(&connects);
	ret[!first] = got;
	return 0;
}

/* Who connects can be where others are that do not listen. */
static int try_ends(const struct restore_ctx *ctx,
		    const TcpConnectionRecord *rec,
		    const union net_address at[2], int ret[2], struct err *err)
{
	int r = try_roles(ctx, rec, at, 0, ret, err);

	if (r == -EADDRINUSE && at[0].in.sin_port)
		r = try_roles(ctx, rec, at, 1, ret, err);
	return r;
}

/* An address is taken: if only by what is left of ended connections? */
static bool was_leftover(const struct restore_ctx *ctx,
			 const union net_address *at)
{
	unsigned int count = 0;
	struct err ignored;

	/* What that could not do shows when it is tried again. */
	(void)leftover_forget(at, ctx->owner->uid, &count, &ignored);
	return count > 0;
}

static void tell_port(const struct restore_ctx *ctx, uint32_t was, int fd)
{
	union net_address now;
	struct err ignored;
	char text[48];

	if (net_local(fd, &now, &ignored) < 0 || was == ntohs(now.in.sin_port))
		return;
	(void)snprintf(text, sizeof(text), "port %u is %u", was,
		       ntohs(now.in.sin_port));
	ctx->engine->remark(ctx->engine->arg, REMARK_MOVED, text);
}

/* Others have taken a port since; one that only its peer knows can change. */
static int make_elsewhere(const struct restore_ctx *ctx,
			  const TcpConnectionRecord *rec,
			  union net_address at[2], int ret[2], struct err *err)
{
	int r = -EADDRINUSE;

	for (int i = 0; i < 2 && r == -EADDRINUSE; i++) {
		if (!rec->ends[i]->any_port)
			continue;
		at[i].in.sin_port = 0;
		r = try_ends(ctx, rec, at, ret, err);
	}
	for (int i = 0; i < 2 && r == 0; i++)
		if (!at[i].in.sin_port)
			tell_port(ctx, rec->ends[i]->local->port, ret[i]);
	return r;
}

static int make_ends(const struct restore_ctx *ctx,
		     const TcpConnectionRecord *rec, int ret[2],
		     struct err *err)
{
	union net_address at[2];
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = net_place_address(ctx, rec->ends[i]->local,
				      rec->ends[i]->domain, &at[i], err);
	if (r == 0)
		r = try_ends(ctx, rec, at, ret, err);
	if (r != -EADDRINUSE && r != -EADDRNOTAVAIL)
		return r;
	if (was_leftover(ctx, &at[0]) | was_leftover(ctx, &at[1]))
		r = try_ends(ctx, rec, at, ret, err);
	return r == -EADDRINUSE ? make_elsewhere(ctx, rec, at, ret, err) : r;
}

static int connection_restore(struct restore_ctx *ctx,
			      const ProtobufCMessage *msg, struct err *err)
{
	const TcpConnectionRecord *rec = (const TcpConnectionRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fds[2] = { -1, -1 }, r;

	r = check_ends(rec, err);
	if (r == 0)
		r = make_ends(ctx, rec, fds, err);
	if (r < 0)
		return r;
	r = e->set_fd(e->arg, rec->ends[0]->object, fds[0], err);
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	r = e->set_fd(e->arg, rec->ends[1]->object, fds[1], err);
	if (r < 0)
		close(fds[1]);
	return r;
}

static int end_fd(const struct restore_ctx *ctx, const TcpEnd *end,
		  struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, end->object);

	return fd < 0 ? err_set(err, -EBADMSG, "socket %u is not there",
				end->object)
		      : fd;
}

static int reset_end(const struct restore_ctx *ctx, const TcpEnd *end,
		     const TcpEnd *other, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int own = end_fd(ctx, end, err), there = end_fd(ctx, other, err), r;

	r = own < 0 ? own : there < 0 ? there : pair_end_at_once(own, err);
	if (r < 0)
		return r;
	e->drop_fd(e->arg, end->object);
	return pair_await_end(there, err);
}

/* All bytes have been sent; those that could be read are there again. */
static int connection_settle(struct restore_ctx *ctx, struct restore_task *task,
			     struct restore_thread *thread,
			     const ProtobufCMessage *msg, struct err *err)
{
	const TcpConnectionRecord *rec = (const TcpConnectionRecord *)msg;

	(void)task;
	(void)thread;
	for (int i = 0; i < 2; i++) {
		int fd = end_fd(ctx, rec->ends[i], err), r = 0;

		if (fd >= 0 && rec->ends[i]->unread)
			r = pair_await(fd, rec->ends[i]->unread, err);
		if (fd < 0 || r < 0)
			return fd < 0 ? fd : r;
	}
	for (int i = 0; i < 2; i++) {
		if (rec->ends[i]->reset)
			return reset_end(ctx, rec->ends[i], rec->ends[!i], err);
		if (rec->ends[i]->finished &&
		    shutdown(end_fd(ctx, rec->ends[i], err), SHUT_WR) < 0)
			return err_sys(err, "shutdown");
	}
	return 0;
}

static int data_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			struct err *err)
{
	const TcpDataRecord *rec = (const TcpDataRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const TcpConnectionRecord *c = (const TcpConnectionRecord *)e->find(
		e->arg, TAG_TCP_CONNECTION, rec->connection);
	int fd;

	if (!c || rec->end > 1)
		return err_set(err, -EBADMSG, "bytes of no connection");
	fd = end_fd(ctx, c->ends[!rec->end], err);
	return fd < 0 ? fd : pair_send(fd, rec->data.data, rec->data.len, err);
}

static int try_bound(const struct restore_ctx *ctx, const TcpRecord *rec,
		     struct err *err)
{
	const SocketCommon *common = rec->common;
	auto_close int fd =
		net_make(ctx, common->domain, SOCK_STREAM,
			 common->receive_buffer, common->send_buffer, err);
	int r;

	if (fd < 0)
		return fd;
	r = net_begin(ctx, err);
	if (r < 0)
		return r;
	r = net_bind(ctx, fd, common, true, err);
	net_end(ctx);
	return r < 0 ? r : take_fd(&fd);
}

/* The address is taken now; until all have theirs it may be shared. */
static int make_bound(const struct restore_ctx *ctx, const TcpRecord *rec,
		      struct err *err)
{
	union net_address local;
	int r = try_bound(ctx, rec, err);

	if (r == -EADDRINUSE &&
	    net_place_address(ctx, rec->common->local, rec->common->domain,
			      &local, err) == 0 &&
	    was_leftover(ctx, &local))
		r = try_bound(ctx, rec, err);
	return r;
}

static int tcp_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
		       struct err *err)
{
	const TcpRecord *rec = (const TcpRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int made = -EBADF;
	int fd, r;

	if (rec->kind == TCP_RECORD__KIND__CONNECTED) {
		fd = e->get_fd(e->arg, rec->open->object);
		if (net_option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP)
			return err_set(err, -EBADMSG, "no connection has it");
		return open_file_apply(fd, rec->open, err);
	}
	made = make_bound(ctx, rec, err);
	if (made < 0)
		return made;
	r = open_file_apply(made, rec->open, err);
	return r < 0 ? r
		     : e->set_fd(e->arg, rec->open->object, take_fd(&made),
				 err);
}

/* When every socket has its address: before one may be the only one there. */
static int tcp_settle(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	const TcpRecord *rec = (const TcpRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, rec->open->object), failed;
	union net_address local;

	(void)task;
	(void)thread;
	if (rec->kind == TCP_RECORD__KIND__LISTENING &&
	    listen(fd, (int)rec->backlog) < 0) {
		failed = errno;
		return net_local(fd, &local, err) < 0
			       ? err->code
			       : pair_address_failed("listen at", &local,
						     failed, err);
	}
	/* What had arrived is there and remains so. */
	if (rec->read_shut && shutdown(fd, SHUT_RD) < 0)
		return err_sys(err, "shutdown");
	return net_settle(ctx, fd, rec->common,
			  rec->kind != TCP_RECORD__KIND__CONNECTED, err);
}

static int tcp_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		    const ProtobufCMessage *msg, struct err *err)
{
	const TcpRecord *rec = (const TcpRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int own = e->get_fd(e->arg, rec->open->object);
	int reuse = rec->common->reuse_address;

	if (setsockopt(own, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) <
	    0)
		return err_sys(err, "SO_REUSEADDR");
	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_tcp_connection = {
	.name = "TCP",
	.saved = "listening sockets, connections within the job with all bytes "
		 "on their way, ends that are shut, options; they move to the "
		 "addresses of the node",
	.refused = "connections to others (but see --peers), ones that nobody "
		   "has accepted, urgent "
		   "data, TLS in the kernel, keys of MD5, filters",
	.changes = "sequence numbers, timestamps, segment size, windows, "
		   "congestion state, keys of AO, cookies",
	.tag = TAG_TCP_CONNECTION,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = connection_restore,
	.stage2 = STAGE_EARLY,
	.restore2 = connection_settle,
};

const struct resource_ops res_tcp_data = {
	.name = "TCP",
	.tag = TAG_TCP_DATA,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.restore_file = data_restore,
};

const struct resource_ops res_tcp = {
	.name = "TCP",
	.tag = TAG_TCP,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = tcp_match,
	.check_file = tcp_check,
	.dump_file = tcp_dump,
	.restore_file = tcp_restore,
	.late_file = tcp_late,
	.stage2 = STAGE_EARLY,
	.restore2 = tcp_settle,
};
