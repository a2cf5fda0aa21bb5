// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/udp_queue.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>

#include "images/limits.h"
#include "kernel/sockdiag.h"
#include "repair/datagrams.h"
#include "repair/pair.h"
#include "resource/net_place.h"
#include "resource/net_socket.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PATIENCE_NS   (10 * NSEC_PER_SEC)
#define SO_MEMINFO_   55
#define OPTION_GSO    103 /* UDP_SEGMENT */
#define QUEUED_MEMORY SK_MEMINFO_RMEM_ALLOC

void udp_queue_done(struct udp_queue *q)
{
	for (size_t i = 0; i < q->count; i++)
		udp_datagram__free_unpacked(q->list[i], NULL);
	free(q->list);
	*q = (struct udp_queue){ 0 };
}

/* Who has sent it: 0: nobody is there now. */
static int find_sender(const struct dump_ctx *ctx, const struct fd_view *fd,
		       const union net_address *source,
		       const union net_address *to, uint32_t *ret,
		       struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	union net_address from = *source, at = *to;
	char text[80];
	uint32_t inode = 0;
	int r;

	/* What came by IPv4 to a socket of both. */
	if (pair_address_as(source, AF_INET, &from) == 0)
		(void)pair_address_as(to, AF_INET, &at);
	if (at.any.sa_family != from.any.sa_family)
		at = from;
	pair_address_text(source, text, sizeof(text));
	if (!net_is_here(source))
		return err_set(err, -ENOTSUP,
			       "unread datagrams from %s, which is not here",
			       text);
	r = sockdiag_udp(&from, &at, &inode, err);
	*ret = 0;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	*ret = e->inode_object(e->arg, fd->stat->st_dev, inode);
	return *ret ? 0
		    : err_set(err, -ENOTSUP,
			      "unread datagrams from %s, outside the job",
			      text);
}

static int add(struct udp_queue *q, const union net_address *source,
	       uint32_t sender, const void *data, size_t len, struct err *err)
{
	UdpDatagram *d = calloc(1, sizeof(*d));
	UdpDatagram **list = reallocarray(q->list, q->count + 1, sizeof(*list));
	uint8_t host[16];
	SocketAddress plain;

	if (list)
		q->list = list;
	if (!d || !list) {
		free(d);
		return err_num(err, ENOMEM, "datagram");
	}
	udp_datagram__init(d);
	q->list[q->count++] = d;
	d->sender = sender;
	net_put_address(source, &plain, host);
	d->source = malloc(sizeof(*d->source));
	d->data.data = malloc(len);
	if (!d->source || !d->data.data)
		return err_num(err, ENOMEM, "datagram");
	*d->source = plain;
	d->data.len = len;
	memcpy(d->data.data, data, len);
	d->source->host.data = malloc(plain.host.len);
	if (!d->source->host.data)
		return err_num(err, ENOMEM, "datagram");
	memcpy(d->source->host.data, host, plain.host.len);
	return 0;
}

static int take(const struct dump_ctx *ctx, const struct fd_view *fd,
		const struct datagrams *all, struct udp_queue *q,
		struct err *err)
{
	union net_address local;
	int r = net_local(fd->own_fd, &local, err);

	for (size_t i = 0; i < all->count && r == 0; i++) {
		const struct datagram *d = &all->list[i];
		uint32_t sender = 0;

		r = find_sender(ctx, fd, &d->source, &local, &sender, err);
		if (r == 0)
			r = add(q, &d->source, sender, d->data, d->len, err);
	}
	return r;
}

int udp_queue_read(const struct dump_ctx *ctx, const struct fd_view *fd,
		   struct udp_queue *ret, struct err *err)
{
	struct datagrams all = { 0 };
	int r;

	/* Which of them would get it? */
	if (net_option(fd->own_fd, SOL_SOCKET, SO_REUSEPORT) > 0)
		return err_set(err, -ENOTSUP,
			       "unread datagrams and SO_REUSEPORT");
	r = datagrams_read(fd->own_fd, DATAGRAMS_MAX, DATAGRAMS_BYTES, &all,
			   err);
	if (r == 0)
		r = take(ctx, fd, &all, ret, err);
	datagrams_done(&all);
	return r;
}

static uint32_t queued(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO_, info, &len);
	return info[QUEUED_MEMORY];
}

static int await_more(int fd, uint32_t before, struct err *err)
{
	const uint64_t deadline = clock_monotonic_ns() + PATIENCE_NS;
	const struct timespec nap = { .tv_nsec = 100000 };

	while (queued(fd) <= before) {
		if (clock_monotonic_ns() >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "a datagram has not arrived in time");
		nanosleep(&nap, NULL);
	}
	return 0;
}

/* Bound to where it came from, with its user's rights. */
static int make_sender(const union net_address *source, struct err *err)
{
	auto_close int fd =
		socket(source->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, "socket");
	if (bind(fd, &source->any, pair_address_size(source)) == 0)
		return take_fd(&fd);
	return pair_address_failed("bind to", source, errno, err);
}

/* UDP_SEGMENT of its own socket would cut it. */
static int send_by(int fd, const UdpDatagram *d, const union net_address *to,
		   struct err *err)
{
	int family = net_option(fd, SOL_SOCKET, SO_DOMAIN), none = 0;
	int cut = net_option(fd, IPPROTO_UDP, OPTION_GSO);
	union net_address dest;
	ssize_t n;

	if (net_option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP ||
	    pair_address_as(to, family, &dest) < 0)
		return err_set(err, -EBADMSG, "a datagram of no UDP socket");
	if (cut > 0)
		(void)setsockopt(fd, IPPROTO_UDP, OPTION_GSO, &none,
				 sizeof(none));
	n = sendto(fd, d->data.data, d->data.len, MSG_NOSIGNAL, &dest.any,
		   pair_address_size(&dest));
	if (n != (ssize_t)d->data.len)
		return err_sys(err, "send a datagram again");
	if (cut > 0 &&
	    setsockopt(fd, IPPROTO_UDP, OPTION_GSO, &cut, sizeof(cut)) < 0)
		return err_sys(err, "UDP_SEGMENT");
	return 0;
}

/* To a socket that has no address of its own it came by the source's. */
static void destination(int fd, const union net_address *source,
			union net_address *ret)
{
	struct err ignored;

	if (net_local(fd, ret, &ignored) < 0 ||
	    ret->any.sa_family != source->any.sa_family)
		return;
	if (ret->any.sa_family == AF_INET && !ret->in.sin_addr.s_addr)
		ret->in.sin_addr = source->in.sin_addr;
	else if (ret->any.sa_family == AF_INET6 &&
		 IN6_IS_ADDR_UNSPECIFIED(&ret->in6.sin6_addr))
		ret->in6.sin6_addr = source->in6.sin6_addr;
}

static int send_one(const struct restore_ctx *ctx, int fd, const UdpRecord *rec,
		    const UdpDatagram *d, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	auto_close int made = -EBADF;
	union net_address source, to;
	uint32_t before = queued(fd);
	int r, sender;

	r = net_place_address(ctx, d->source, rec->common->domain, &source,
			      err);
	if (r < 0)
		return r;
	destination(fd, &source, &to);
	r = net_begin(ctx, err);
	if (r < 0)
		return r;
	if (!d->sender)
		made = make_sender(&source, err);
	sender = d->sender ? e->get_fd(e->arg, d->sender) : made;
	r = !d->sender && made < 0 ? made : send_by(sender, d, &to, err);
	net_end(ctx);
	return r < 0 ? r : await_more(fd, before, err);
}

int udp_queue_send(const struct restore_ctx *ctx, const UdpRecord *rec,
		   struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd = e->get_fd(e->arg, rec->open->object), r = 0;

	if (rec->n_datagrams > DATAGRAMS_MAX)
		return err_set(err, -EBADMSG, "%zu datagrams",
			       rec->n_datagrams);
	for (size_t i = 0; i < rec->n_datagrams && r == 0; i++)
		r = send_one(ctx, fd, rec, rec->datagrams[i], err);
	return r;
}
