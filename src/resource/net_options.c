// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/net_options.h"

#include <errno.h>
#include <linux/in6.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

enum {
	EARLY = 1,       /* counts when the socket is bound */
	UNCONNECTED = 2, /* of connected ones it tells something else */
	DATAGRAMS = 4,   /* of streams too */
};

/* Some are younger than the headers of the system that this is built on. */
enum {
	OPTION_IP_CHECKSUM = 23,
	OPTION_IP_RECVFRAGSIZE = 25,
	OPTION_IP_RECVERR_RFC4884 = 26,
	OPTION_IP_LOCAL_PORT_RANGE = 51,
	OPTION_IPV6_MULTICAST_ALL = 29,
	OPTION_IPV6_RECVERR_RFC4884 = 31,
	OPTION_SO_BUSY_POLL_BUDGET = 70,
	OPTION_SO_PREFER_BUSY_POLL = 69,
	OPTION_SO_TXREHASH = 74,
	OPTION_SO_RCVMARK = 75,
	OPTION_TCP_TX_DELAY = 37,
	OPTION_UDP_SEGMENT = 103,
	OPTION_UDP_GRO = 104,
	OPTION_UDP_NO_CHECK6_TX = 101,
	OPTION_UDP_NO_CHECK6_RX = 102,
};

struct option {
	int level, name;
	unsigned int flags;
};

/* In the order in which they are set: IP_TOS changes SO_PRIORITY. */
static const struct option options[] = {
	{ SOL_SOCKET, SO_BINDTODEVICE, EARLY },
	{ IPPROTO_IP, IP_FREEBIND, EARLY },
	{ IPPROTO_IP, IP_TRANSPARENT, EARLY },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, EARLY },
	{ IPPROTO_IP, OPTION_IP_LOCAL_PORT_RANGE, EARLY },
	{ IPPROTO_IPV6, IPV6_FREEBIND, EARLY },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT, EARLY },
	{ IPPROTO_IP, IP_TOS, 0 },
	{ IPPROTO_IP, IP_TTL, 0 },
	{ IPPROTO_IP, IP_MINTTL, 0 },
	{ IPPROTO_IP, IP_MTU_DISCOVER, 0 },
	{ IPPROTO_IP, IP_RECVTTL, 0 },
	{ IPPROTO_IP, IP_RECVTOS, 0 },
	{ IPPROTO_IP, IP_RECVERR, 0 },
	{ IPPROTO_IP, OPTION_IP_RECVERR_RFC4884, 0 },
	{ IPPROTO_IP, IP_RECVOPTS, 0 },
	{ IPPROTO_IP, IP_RETOPTS, 0 },
	{ IPPROTO_IP, IP_PKTINFO, 0 },
	{ IPPROTO_IP, IP_RECVORIGDSTADDR, 0 },
	{ IPPROTO_IP, OPTION_IP_CHECKSUM, 0 },
	{ IPPROTO_IP, OPTION_IP_RECVFRAGSIZE, 0 },
	{ IPPROTO_IP, IP_UNICAST_IF, 0 },
	{ IPPROTO_IP, IP_MULTICAST_TTL, DATAGRAMS },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, DATAGRAMS },
	{ IPPROTO_IP, IP_MULTICAST_ALL, DATAGRAMS },
	{ IPPROTO_IP, IP_MULTICAST_IF, DATAGRAMS },
	{ IPPROTO_IPV6, IPV6_TCLASS, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0 },
	{ IPPROTO_IPV6, IPV6_MINHOPCOUNT, 0 },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0 },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, 0 },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0 },
	{ IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 0 },
	{ IPPROTO_IPV6, IPV6_FLOWINFO, 0 },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_IF, 0 },
	{ IPPROTO_IPV6, IPV6_RECVERR, 0 },
	{ IPPROTO_IPV6, OPTION_IPV6_RECVERR_RFC4884, 0 },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0 },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, 0 },
	{ IPPROTO_IPV6, IPV6_RECVRTHDR, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPOPTS, 0 },
	{ IPPROTO_IPV6, IPV6_RECVDSTOPTS, 0 },
	{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 0 },
	{ IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 0 },
	{ IPPROTO_IPV6, IPV6_RECVPATHMTU, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, DATAGRAMS },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, DATAGRAMS },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, DATAGRAMS },
	{ IPPROTO_IPV6, OPTION_IPV6_MULTICAST_ALL, DATAGRAMS },
	{ SOL_SOCKET, SO_PRIORITY, 0 },
	{ SOL_SOCKET, SO_MARK, 0 },
	{ SOL_SOCKET, OPTION_SO_RCVMARK, 0 },
	{ SOL_SOCKET, SO_KEEPALIVE, 0 },
	{ SOL_SOCKET, SO_BROADCAST, 0 },
	{ SOL_SOCKET, SO_OOBINLINE, 0 },
	{ SOL_SOCKET, SO_DONTROUTE, 0 },
	{ SOL_SOCKET, SO_DEBUG, 0 },
	{ SOL_SOCKET, SO_NO_CHECK, 0 },
	{ SOL_SOCKET, SO_LINGER, 0 },
	{ SOL_SOCKET, SO_RCVLOWAT, 0 },
	{ SOL_SOCKET, SO_RCVTIMEO, 0 },
	{ SOL_SOCKET, SO_SNDTIMEO, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP_OLD, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPNS_OLD, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP_NEW, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPNS_NEW, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPING_OLD, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPING_NEW, 0 },
	{ SOL_SOCKET, SO_RXQ_OVFL, 0 },
	{ SOL_SOCKET, SO_BUSY_POLL, 0 },
	{ SOL_SOCKET, OPTION_SO_PREFER_BUSY_POLL, 0 },
	{ SOL_SOCKET, OPTION_SO_BUSY_POLL_BUDGET, 0 },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, 0 },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, 0 },
	{ SOL_SOCKET, SO_ZEROCOPY, 0 },
	{ SOL_SOCKET, OPTION_SO_TXREHASH, 0 },
	{ IPPROTO_TCP, TCP_MAXSEG, UNCONNECTED },
	{ IPPROTO_TCP, TCP_CONGESTION, 0 },
	{ IPPROTO_TCP, TCP_NODELAY, 0 },
	{ IPPROTO_TCP, TCP_CORK, 0 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 0 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 0 },
	{ IPPROTO_TCP, TCP_KEEPCNT, 0 },
	{ IPPROTO_TCP, TCP_SYNCNT, 0 },
	{ IPPROTO_TCP, TCP_LINGER2, 0 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, UNCONNECTED },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, 0 },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0 },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0 },
	{ IPPROTO_TCP, TCP_SAVE_SYN, UNCONNECTED },
	{ IPPROTO_TCP, TCP_FASTOPEN, UNCONNECTED },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, UNCONNECTED },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, UNCONNECTED },
	{ IPPROTO_TCP, TCP_INQ, 0 },
	{ IPPROTO_TCP, OPTION_TCP_TX_DELAY, 0 },
	{ IPPROTO_UDP, OPTION_UDP_SEGMENT, 0 },
	{ IPPROTO_UDP, OPTION_UDP_GRO, 0 },
	{ IPPROTO_UDP, OPTION_UDP_NO_CHECK6_TX, 0 },
	{ IPPROTO_UDP, OPTION_UDP_NO_CHECK6_RX, 0 },
};

/* The kernel says no in several ways when a kind of socket has no such. */
static bool get(int fd, const struct option *o, struct net_value *ret)
{
	socklen_t len = sizeof(ret->value);

	memset(ret, 0, sizeof(*ret));
	ret->level = o->level;
	ret->name = o->name;
	if (getsockopt(fd, o->level, o->name, ret->value, &len) < 0 ||
	    len > sizeof(ret->value))
		return false;
	ret->len = len;
	return true;
}

static int kind(int fd, int what)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, what, &v, &len) < 0 ? -1 : v;
}

static int same_kind(int fd, struct err *err)
{
	int made = socket(kind(fd, SO_DOMAIN), kind(fd, SO_TYPE) | SOCK_CLOEXEC,
			  kind(fd, SO_PROTOCOL));

	return made < 0 ? err_sys(err, "socket") : made;
}

/* Whether to ask at all: there may be thousands of sockets. */
static bool fits(const struct option *o, int domain, bool stream,
		 bool connected)
{
	if ((connected && o->flags & UNCONNECTED) ||
	    (stream && o->flags & DATAGRAMS))
		return false;
	return o->level == IPPROTO_TCP    ? stream
	       : o->level == IPPROTO_UDP  ? !stream
	       : o->level == IPPROTO_IPV6 ? domain == AF_INET6
					  : true;
}

/* Or was, and has ended. */
static bool is_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 ||
	       (poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP);
}

int net_options_read(int fd, struct net_value *ret, size_t room,
		     size_t *ret_count, struct err *err)
{
	auto_close int fresh = same_kind(fd, err);
	bool connected = is_connected(fd);
	bool stream = kind(fd, SO_TYPE) == SOCK_STREAM;
	int domain = kind(fd, SO_DOMAIN);
	size_t n = 0;

	if (fresh < 0)
		return fresh;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		struct net_value have, plain;

		if (!fits(o, domain, stream, connected) || !get(fd, o, &have) ||
		    !get(fresh, o, &plain))
			continue;
		if (have.len == plain.len &&
		    !memcmp(have.value, plain.value, sizeof(have.value)))
			continue;
		if (n == room)
			return err_set(err, -E2BIG, "options of a socket");
		ret[n++] = have;
	}
	*ret_count = n;
	return 0;
}

static const struct option *find(uint32_t level, uint32_t name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if ((uint32_t)options[i].level == level &&
		    (uint32_t)options[i].name == name)
			return &options[i];
	return NULL;
}

bool net_option_known(uint32_t level, uint32_t name)
{
	return find(level, name) != NULL;
}

bool net_option_early(uint32_t level, uint32_t name)
{
	const struct option *o = find(level, name);

	return o && o->flags & EARLY;
}

int net_option_set(int fd, uint32_t level, uint32_t name, const void *value,
		   size_t len, struct err *err)
{
	if (setsockopt(fd, (int)level, (int)name, value, (socklen_t)len) < 0)
		return err_sys(err, "socket option %u of level %u", name,
			       level);
	return 0;
}
