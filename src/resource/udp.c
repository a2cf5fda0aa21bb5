// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP sockets.  To whom one is connected is only an address: it may be
 * anybody's.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "images/tags.h"
#include "kernel/queue_mark.h"
#include "repair/pair.h"
#include "resource/net_groups.h"
#include "resource/net_place.h"
#include "resource/net_socket.h"
#include "resource/open_file.h"
#include "resource/resource.h"
#include "resource/udp_queue.h"
#include "util/cleanup.h"

static bool udp_match(const struct fd_view *fd)
{
	return net_match(fd, SOCK_DGRAM, IPPROTO_UDP);
}

static int check_unread(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct refusals *no, struct err *err)
{
	struct udp_queue queue = { 0 };
	int r = udp_queue_read(ctx, fd, &queue, err);

	udp_queue_done(&queue);
	if (r != -ENOTSUP)
		return r;
	net_refuse(fd, no, "let the program read them", "UDP socket with %s",
		   err->text);
	return 0;
}

static int check_queues(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct refusals *no, struct err *err)
{
	struct pollfd p = { .fd = fd->own_fd, .events = POLLIN | POLLRDHUP };
	int unsent = 0;

	if (ioctl(fd->own_fd, SIOCOUTQ, &unsent) == 0 && unsent)
		net_refuse(fd, no,
			   "let it be sent: without MSG_MORE and UDP_CORK",
			   "UDP socket with a datagram that is not sent yet");
	if (poll(&p, 1, 0) != 1) {
		queue_mark_drop(fd->own_fd);
		return 0;
	}
	if (p.revents & POLLERR)
		return 0;
	if (p.revents & POLLRDHUP)
		net_refuse(fd, no, "close it",
			   "UDP socket that was shut (shutdown)");
	else if (p.revents & POLLIN)
		return check_unread(ctx, fd, no, err);
	return 0;
}

static int udp_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		     struct refusals *no, struct err *err)
{
	bool member = false;
	int r;

	r = net_check(ctx, fd, no, err);
	if (r == 0)
		r = open_file_check(ctx, fd, no, err);
	if (r == 0)
		r = net_groups_any(fd->own_fd, &member, err);
	if (r < 0)
		return r;
	if (member)
		net_refuse(fd, no, "leave them before",
			   "UDP socket that is a member of multicast groups");
	if (net_option(fd->own_fd, IPPROTO_UDP, UDP_ENCAP) > 0)
		net_refuse(fd, no, "close it",
			   "UDP socket that the kernel decapsulates for");
	if (net_option(fd->own_fd, IPPROTO_UDP, UDP_CORK) > 0)
		net_refuse(fd, no, "remove it", "UDP socket with UDP_CORK");
	return fd->task->leader ? check_queues(ctx, fd, no, err) : 0;
}

static int udp_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
		    struct err *err)
{
	auto_free struct net_parts *parts = calloc(1, sizeof(*parts));
	SocketCommon common = SOCKET_COMMON__INIT;
	SocketAddress peer_address;
	UdpRecord rec = UDP_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	struct pollfd p = { .fd = fd->own_fd, .events = POLLIN };
	struct udp_queue queue = { 0 };
	union net_address peer;
	uint8_t host[16];
	int r;

	if (!parts)
		return err_num(err, ENOMEM, "socket");
	rec.open = &open;
	rec.common = &common;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = net_fill(fd, &common, parts, err);
	if (r == 0)
		r = net_peer(fd->own_fd, &peer, err);
	if (r < 0)
		return r;
	if (peer.any.sa_family) {
		net_put_address(&peer, &peer_address, host);
		rec.peer = &peer_address;
	}
	if (poll(&p, 1, 0) == 1 && p.revents & POLLIN)
		r = udp_queue_read(ctx, fd, &queue, err);
	rec.datagrams = queue.list;
	rec.n_datagrams = queue.count;
	if (r == 0)
		r = img_put(ctx->out, TAG_UDP, &rec.base, err);
	udp_queue_done(&queue);
	return r;
}

static int connect_to(const struct restore_ctx *ctx, int fd,
		      const UdpRecord *rec, struct err *err)
{
	union net_address peer;
	int r;

	if (!rec->peer)
		return 0;
	r = net_place_address(ctx, rec->peer, rec->common->domain, &peer, err);
	if (r < 0)
		return r;
	if (connect(fd, &peer.any, pair_address_size(&peer)) == 0)
		return 0;
	return pair_address_failed("connect to", &peer, errno, err);
}

static int udp_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
		       struct err *err)
{
	const UdpRecord *rec = (const UdpRecord *)msg;
	const SocketCommon *common = rec->common;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd =
		net_make(ctx, common->domain, SOCK_DGRAM,
			 common->receive_buffer, common->send_buffer, err);
	int r;

	if (fd < 0)
		return fd;
	r = net_begin(ctx, err);
	if (r < 0)
		return r;
	r = net_bind(ctx, fd, common, common->reuse_address, err);
	if (r == 0)
		r = connect_to(ctx, fd, rec, err);
	net_end(ctx);
	if (r == 0)
		r = net_settle(ctx, fd, common, true, err);
	if (r == 0)
		r = open_file_apply(fd, rec->open, err);
	return r < 0 ? r
		     : e->set_fd(e->arg, rec->open->object, take_fd(&fd), err);
}

/* All who have sent something are there. */
static int udp_settle(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	(void)task;
	(void)thread;
	return udp_queue_send(ctx, (const UdpRecord *)msg, err);
}

static int udp_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		    const ProtobufCMessage *msg, struct err *err)
{
	const UdpRecord *rec = (const UdpRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_udp = {
	.name = "UDP",
	.saved = "addresses, to whom it is connected, options, datagrams that "
		 "were not read with their sources",
	.refused = "datagrams of others that were not read, multicast groups, "
		   "filters",
	.changes = "datagrams that arrive between the cut and the restore; "
		   "programs that choose among sockets of one port",
	.tag = TAG_UDP,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = udp_match,
	.check_file = udp_check,
	.dump_file = udp_dump,
	.restore_file = udp_restore,
	.late_file = udp_late,
	.stage2 = STAGE_EARLY,
	.restore2 = udp_settle,
};
