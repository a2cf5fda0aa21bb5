// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/tcp_peer.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "images/limits.h"
#include "kernel/sockdiag.h"
#include "repair/chain.h"
#include "repair/pair.h"
#include "repair/stream.h"
#include "resource/net_place.h"
#include "resource/net_socket.h"
#include "resource/open_file.h"

/* Whoever is there has it open nowhere. */
static enum tcp_peer_kind nobodys(const struct tcp_seen *seen)
{
	switch (seen->state) {
	case TCP_FIN_WAIT1:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		/* Of these the last one is its FIN. */
		return seen->unsent > 1 ? TCP_PEER_CLOSING : TCP_PEER_CLOSED;
	case TCP_FIN_WAIT2:
	case TCP_TIME_WAIT:
	case TCP_CLOSE:
		return TCP_PEER_CLOSED;
	default:
		return TCP_PEER_UNACCEPTED;
	}
}

/* Nobody is there, or somebody who would accept it. */
static int absent(const struct fd_view *fd, const union net_address *peer,
		  struct tcp_peer *ret, struct err *err)
{
	uint8_t state;
	int r = stream_state(fd->own_fd, &state, err);

	if (r < 0)
		return r;
	/* Long after it has closed its end the kernel forgets it. */
	if (!net_is_here(peer))
		ret->kind = TCP_PEER_OUTSIDE;
	else
		ret->kind = stream_sees_end(state) ? TCP_PEER_CLOSED
						   : TCP_PEER_GONE;
	return 0;
}

int tcp_peer_find(const struct dump_ctx *ctx, const struct fd_view *fd,
		  struct tcp_peer *ret, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	union net_address local, peer;
	struct tcp_seen seen = { 0 };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = net_local(fd->own_fd, &local, err);
	if (r == 0)
		r = net_peer(fd->own_fd, &peer, err);
	if (r < 0)
		return r;
	ret->kind = TCP_PEER_GONE;
	if (!peer.any.sa_family)
		return 0;
	r = sockdiag_tcp(&peer, &local, &seen, err);
	if (r == -ENOENT || (r == 0 && seen.state == TCP_LISTEN))
		return absent(fd, &peer, ret, err);
	if (r < 0)
		return r;
	ret->inode = seen.inode;
	ret->keys = seen.keys;
	if (!seen.inode) {
		ret->kind = nobodys(&seen);
		return 0;
	}
	ret->object = e->inode_object(e->arg, fd->stat->st_dev, seen.inode);
	ret->kind = ret->object ? TCP_PEER_INSIDE : TCP_PEER_OUTSIDE;
	return 0;
}

bool tcp_peer_is_reset(const struct dump_ctx *ctx, const struct tcp_peer *peer)
{
	return ctx->options->reset_peers &&
	       (peer->kind == TCP_PEER_OUTSIDE || peer->kind == TCP_PEER_GONE);
}

static int describe(const struct fd_view *fd, char *here, char *there,
		    size_t room, struct err *err)
{
	union net_address local, peer;
	int r;

	r = net_local(fd->own_fd, &local, err);
	if (r == 0)
		r = net_peer(fd->own_fd, &peer, err);
	if (r < 0)
		return r;
	pair_address_text(&local, here, room);
	pair_address_text(&peer, there, room);
	return 0;
}

static pid_t who(const struct dump_ctx *ctx, const struct tcp_peer *peer)
{
	const struct dump_engine *e = ctx->engine;
	char link[40];

	if (!peer->inode)
		return 0;
	(void)snprintf(link, sizeof(link), "socket:[%llu]",
		       (unsigned long long)peer->inode);
	return e->held_outside(e->arg, link);
}

static void refuse_outside(const struct dump_ctx *ctx, const struct fd_view *fd,
			   const struct tcp_peer *peer, const char *here,
			   const char *there, struct refusals *no)
{
	pid_t pid = who(ctx, peer);
	char whose[48] = "";

	/* Of a running job it may just have been made. */
	if (!pid && peer->inode && !fd->task->leader)
		return;
	if (pid)
		(void)snprintf(whose, sizeof(whose), " of process %d",
			       (int)pid);
	net_refuse(fd, no,
		   "close it before, run the other side in the same job, or "
		   "have it reset (--peers in jobcr(1))",
		   "TCP socket (%s, connected to %s%s, outside the job)", here,
		   there, whose);
}

/* These pass in a moment: they count only where nothing moves. */
static void refuse_moment(const struct fd_view *fd, const struct tcp_peer *peer,
			  const char *here, const char *there,
			  struct refusals *no)
{
	if (!fd->task->leader)
		return;
	if (peer->kind == TCP_PEER_UNACCEPTED)
		net_refuse(fd, no, "let the server accept it",
			   "TCP connection that nobody has accepted yet (%s to "
			   "%s)",
			   here, there);
	else if (peer->kind == TCP_PEER_CLOSING)
		net_refuse(fd, no, "let the program read them",
			   "TCP socket (%s) with bytes on their way from %s, "
			   "which is closed already",
			   here, there);
	else
		net_refuse(fd, no, "close it",
			   "TCP socket (%s) whose other end (%s) is gone", here,
			   there);
	refusals_passes(no);
}

/* The kernel does not tell them. */
static void refuse_keys(const struct fd_view *fd, struct refusals *no)
{
	net_refuse(fd, no, "let it do without, or encrypt by itself",
		   "TCP socket with keys (TCP_MD5SIG)");
}

static int check_listening(const struct fd_view *fd, struct refusals *no,
			   struct err *err)
{
	union net_address local, nobody = { 0 };
	struct tcp_seen seen;
	int r = net_local(fd->own_fd, &local, err);

	nobody.any.sa_family = local.any.sa_family;
	if (r == 0)
		r = sockdiag_tcp(&local, &nobody, &seen, err);
	if (r == 0 && seen.keys)
		refuse_keys(fd, no);
	return r == -ENOENT ? 0 : r;
}

static int check_peer(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct refusals *no, struct err *err)
{
	char here[80], there[80];
	struct tcp_peer peer;
	int r;

	r = tcp_peer_find(ctx, fd, &peer, err);
	if (r == 0)
		r = describe(fd, here, there, sizeof(here), err);
	if (r < 0)
		return r;
	if (tcp_peer_is_reset(ctx, &peer))
		return 0;
	if (peer.keys)
		refuse_keys(fd, no);
	if (peer.kind == TCP_PEER_OUTSIDE)
		refuse_outside(ctx, fd, &peer, here, there, no);
	else if (peer.kind == TCP_PEER_INSIDE && peer.object == fd->object)
		net_refuse(fd, no, "close it",
			   "TCP socket (%s) that is connected to itself", here);
	else if (peer.kind != TCP_PEER_INSIDE && peer.kind != TCP_PEER_CLOSED)
		refuse_moment(fd, &peer, here, there, no);
	return 0;
}

/* Where in a stream they are cannot be had without taking it. */
static void check_urgent(const struct fd_view *fd, struct refusals *no)
{
	struct pollfd p = { .fd = fd->own_fd, .events = POLLPRI };
	char byte;

	if ((poll(&p, 1, 0) == 1 && p.revents & POLLPRI) ||
	    recv(fd->own_fd, &byte, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) >=
		    0 ||
	    errno == EAGAIN)
		net_refuse(fd, no, "let the program read it",
			   "TCP socket with urgent data that was not read");
}

static int check_bytes(const struct fd_view *fd, struct refusals *no,
		       struct err *err)
{
	struct err ignored;
	size_t unsent;
	int unread, r;

	if (ioctl(fd->own_fd, SIOCINQ, &unread) < 0)
		return err_sys(err, "SIOCINQ");
	r = stream_unsent(fd->own_fd, &unsent, err);
	if (r < 0)
		return r;
	if (unsent + (size_t)unread > STREAM_MAX_BYTES / 2)
		net_refuse(fd, no, "let the program read more often",
			   "TCP socket with %zu bytes to send and %d to read",
			   unsent, unread);
	if (unsent && chain_supported(&ignored) < 0)
		net_refuse(fd, no, "use Linux 6.7 or later, with io_uring",
			   "TCP socket with %zu bytes that are not sent yet",
			   unsent);
	return 0;
}

static int check_connected(const struct dump_ctx *ctx, const struct fd_view *fd,
			   struct refusals *no, struct err *err)
{
	int r = check_peer(ctx, fd, no, err);

	if (r < 0 || !fd->task->leader)
		return r;
	check_urgent(fd, no);
	return check_bytes(fd, no, err);
}

/* A new one has not begun. */
static int check_ended(const struct fd_view *fd, struct refusals *no,
		       struct err *err)
{
	if (!fd->task->leader || !net_has_ended(fd->own_fd))
		return 0;
	check_urgent(fd, no);
	return check_bytes(fd, no, err);
}

static void check_ulp(const struct fd_view *fd, struct refusals *no)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	if (getsockopt(fd->own_fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 &&
	    len && *name)
		net_refuse(
			fd, no,
			"let the program encrypt by itself (OpenSSL: without "
			"KTLS)",
			"TCP socket with %.16s in the kernel", name);
}

static void refuse_waiting(const struct fd_view *fd, unsigned int count,
			   struct refusals *no)
{
	net_refuse(fd, no, "let the program accept them",
		   "TCP socket with %u connections that nobody has accepted "
		   "yet",
		   count);
	refusals_passes(no);
}

static void refuse_connecting(const struct fd_view *fd, struct refusals *no)
{
	net_refuse(fd, no, "wait until it is connected",
		   "TCP socket that is being connected");
	refusals_passes(no);
}

static int check_state(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct refusals *no, struct err *err)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd->own_fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return err_sys(err, "TCP_INFO");
	switch (info.tcpi_state) {
	case TCP_CLOSE:
		return check_ended(fd, no, err);
	case TCP_LISTEN:
		/* Of one that listens this tells of who waits. */
		if (fd->task->leader && info.tcpi_unacked)
			refuse_waiting(fd, info.tcpi_unacked, no);
		return check_listening(fd, no, err);
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		if (fd->task->leader)
			refuse_connecting(fd, no);
		return 0;
	default:
		return check_connected(ctx, fd, no, err);
	}
}

int tcp_check(const struct dump_ctx *ctx, const struct fd_view *fd,
	      struct refusals *no, struct err *err)
{
	int r;

	check_ulp(fd, no);
	r = net_check(ctx, fd, no, err);
	if (r == 0)
		r = open_file_check(ctx, fd, no, err);
	return r < 0 ? r : check_state(ctx, fd, no, err);
}
