// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/socket_options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/in6.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "images/limits.h"
#include "kernel/queue_mark.h"
#include "util/cleanup.h"
#include "util/io.h"

enum {
	LOCAL = 1, /* of Unix sockets; set as root, so its value is looked at */
	NET = 2,   /* of TCP and UDP; set with the rights of the job's user */
	EARLY = 4, /* counts when the socket is bound */
	UNCONNECTED = 8, /* of connected ones it tells something else */
	DATAGRAMS = 16,  /* of streams too */
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
	OPTION_SO_TXTIME = 61,
	OPTION_SO_TXREHASH = 74,
	OPTION_SO_BUF_LOCK = 72,
	OPTION_SO_RCVMARK = 75,
	OPTION_SO_PASSPIDFD = 76,
	OPTION_SO_RCVPRIORITY = 82,
	OPTION_SO_PASSRIGHTS = 83,
	OPTION_SO_INQ = 84,
	OPTION_TCP_TX_DELAY = 37,
	OPTION_TCP_RTO_MAX_MS = 44,
	OPTION_TCP_RTO_MIN_US = 45,
	OPTION_TCP_DELACK_MAX_US = 46,
	OPTION_UDP_SEGMENT = 103,
	OPTION_UDP_GRO = 104,
	OPTION_UDP_NO_CHECK6_TX = 101,
	OPTION_UDP_NO_CHECK6_RX = 102,
};

#define USER_PRIORITY_MAX 6

static const struct option {
	int level, name;
	unsigned int flags;
} options[] = {
	/* In the order in which they are set: sizes lock what BUF_LOCK tells,
	 * IP_TOS changes SO_PRIORITY. */
	{ SOL_SOCKET, SO_SNDBUF, LOCAL },
	{ SOL_SOCKET, SO_RCVBUF, LOCAL },
	{ SOL_SOCKET, OPTION_SO_BUF_LOCK, LOCAL },
	{ SOL_SOCKET, SO_REUSEADDR, LOCAL },
	{ SOL_SOCKET, SO_BINDTODEVICE, NET | EARLY },
	{ IPPROTO_IP, IP_FREEBIND, NET | EARLY },
	{ IPPROTO_IP, IP_TRANSPARENT, NET | EARLY },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, NET | EARLY },
	{ IPPROTO_IP, OPTION_IP_LOCAL_PORT_RANGE, NET | EARLY },
	{ IPPROTO_IPV6, IPV6_FREEBIND, NET | EARLY },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT, NET | EARLY },
	{ IPPROTO_IP, IP_TOS, NET },
	{ IPPROTO_IP, IP_TTL, NET },
	{ IPPROTO_IP, IP_MINTTL, NET },
	{ IPPROTO_IP, IP_MTU_DISCOVER, NET },
	{ IPPROTO_IP, IP_RECVTTL, NET },
	{ IPPROTO_IP, IP_RECVTOS, NET },
	{ IPPROTO_IP, IP_RECVERR, NET },
	{ IPPROTO_IP, OPTION_IP_RECVERR_RFC4884, NET },
	{ IPPROTO_IP, IP_RECVOPTS, NET },
	{ IPPROTO_IP, IP_RETOPTS, NET },
	{ IPPROTO_IP, IP_PKTINFO, NET },
	{ IPPROTO_IP, IP_RECVORIGDSTADDR, NET },
	{ IPPROTO_IP, OPTION_IP_CHECKSUM, NET },
	{ IPPROTO_IP, OPTION_IP_RECVFRAGSIZE, NET },
	{ IPPROTO_IP, IP_UNICAST_IF, NET },
	{ IPPROTO_IP, IP_MULTICAST_TTL, NET | DATAGRAMS },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, NET | DATAGRAMS },
	{ IPPROTO_IP, IP_MULTICAST_ALL, NET | DATAGRAMS },
	{ IPPROTO_IP, IP_MULTICAST_IF, NET | DATAGRAMS },
	{ IPPROTO_IPV6, IPV6_TCLASS, NET },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, NET },
	{ IPPROTO_IPV6, IPV6_MINHOPCOUNT, NET },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, NET },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, NET },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, NET },
	{ IPPROTO_IPV6, IPV6_FLOWINFO_SEND, NET },
	{ IPPROTO_IPV6, IPV6_FLOWINFO, NET },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, NET },
	{ IPPROTO_IPV6, IPV6_UNICAST_IF, NET },
	{ IPPROTO_IPV6, IPV6_RECVERR, NET },
	{ IPPROTO_IPV6, OPTION_IPV6_RECVERR_RFC4884, NET },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, NET },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, NET },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, NET },
	{ IPPROTO_IPV6, IPV6_RECVRTHDR, NET },
	{ IPPROTO_IPV6, IPV6_RECVHOPOPTS, NET },
	{ IPPROTO_IPV6, IPV6_RECVDSTOPTS, NET },
	{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, NET },
	{ IPPROTO_IPV6, IPV6_RECVFRAGSIZE, NET },
	{ IPPROTO_IPV6, IPV6_RECVPATHMTU, NET },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, NET | DATAGRAMS },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, NET | DATAGRAMS },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, NET | DATAGRAMS },
	{ IPPROTO_IPV6, OPTION_IPV6_MULTICAST_ALL, NET | DATAGRAMS },
	{ SOL_SOCKET, SO_PRIORITY, LOCAL | NET },
	{ SOL_SOCKET, SO_MARK, NET },
	{ SOL_SOCKET, OPTION_SO_RCVMARK, LOCAL | NET },
	{ SOL_SOCKET, SO_KEEPALIVE, LOCAL | NET },
	{ SOL_SOCKET, SO_BROADCAST, LOCAL | NET },
	{ SOL_SOCKET, SO_OOBINLINE, LOCAL | NET },
	{ SOL_SOCKET, SO_DONTROUTE, LOCAL | NET },
	{ SOL_SOCKET, SO_DEBUG, NET },
	{ SOL_SOCKET, SO_NO_CHECK, LOCAL | NET },
	{ SOL_SOCKET, SO_LINGER, LOCAL | NET },
	{ SOL_SOCKET, SO_RCVLOWAT, LOCAL | NET },
	{ SOL_SOCKET, SO_RCVTIMEO, LOCAL | NET },
	{ SOL_SOCKET, SO_SNDTIMEO, LOCAL | NET },
	{ SOL_SOCKET, SO_TIMESTAMP_OLD, LOCAL | NET },
	{ SOL_SOCKET, SO_TIMESTAMPNS_OLD, LOCAL | NET },
	{ SOL_SOCKET, SO_TIMESTAMP_NEW, LOCAL | NET },
	{ SOL_SOCKET, SO_TIMESTAMPNS_NEW, LOCAL | NET },
	{ SOL_SOCKET, SO_TIMESTAMPING_OLD, NET },
	{ SOL_SOCKET, SO_TIMESTAMPING_NEW, NET },
	{ SOL_SOCKET, SO_RXQ_OVFL, LOCAL | NET },
	{ SOL_SOCKET, SO_BUSY_POLL, NET },
	{ SOL_SOCKET, OPTION_SO_PREFER_BUSY_POLL, NET },
	{ SOL_SOCKET, OPTION_SO_BUSY_POLL_BUDGET, NET },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, NET },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, LOCAL | NET },
	{ SOL_SOCKET, SO_ZEROCOPY, NET },
	{ SOL_SOCKET, OPTION_SO_TXREHASH, NET },
	{ SOL_SOCKET, OPTION_SO_TXTIME, NET },
	{ SOL_SOCKET, SO_LOCK_FILTER, NET },
	{ IPPROTO_TCP, TCP_MAXSEG, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_CONGESTION, NET },
	{ IPPROTO_TCP, TCP_NODELAY, NET },
	{ IPPROTO_TCP, TCP_CORK, NET },
	{ IPPROTO_TCP, TCP_KEEPIDLE, NET },
	{ IPPROTO_TCP, TCP_KEEPINTVL, NET },
	{ IPPROTO_TCP, TCP_KEEPCNT, NET },
	{ IPPROTO_TCP, TCP_SYNCNT, NET },
	{ IPPROTO_TCP, TCP_LINGER2, NET },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, NET },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, NET },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, NET },
	{ IPPROTO_TCP, TCP_SAVE_SYN, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_FASTOPEN, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, NET | UNCONNECTED },
	{ IPPROTO_TCP, TCP_INQ, NET },
	{ IPPROTO_TCP, OPTION_TCP_TX_DELAY, NET },
	{ IPPROTO_TCP, OPTION_TCP_RTO_MAX_MS, NET },
	{ IPPROTO_TCP, OPTION_TCP_RTO_MIN_US, NET },
	{ IPPROTO_TCP, OPTION_TCP_DELACK_MAX_US, NET },
	{ IPPROTO_UDP, OPTION_UDP_SEGMENT, NET },
	{ IPPROTO_UDP, OPTION_UDP_GRO, NET },
	{ IPPROTO_UDP, OPTION_UDP_NO_CHECK6_TX, NET },
	{ IPPROTO_UDP, OPTION_UDP_NO_CHECK6_RX, NET },
	{ SOL_SOCKET, SO_PASSCRED, LOCAL },
	{ SOL_SOCKET, SO_PASSSEC, LOCAL },
	{ SOL_SOCKET, OPTION_SO_PASSPIDFD, LOCAL },
	{ SOL_SOCKET, OPTION_SO_PASSRIGHTS, LOCAL },
	{ SOL_SOCKET, SO_WIFI_STATUS, LOCAL },
	{ SOL_SOCKET, SO_NOFCS, LOCAL },
	{ SOL_SOCKET, OPTION_SO_RCVPRIORITY, LOCAL },
	{ SOL_SOCKET, OPTION_SO_INQ, LOCAL },
	{ SOL_SOCKET, SO_PEEK_OFF, LOCAL },
};

/* A Unix socket with one of these is refused. */
static const int never[] = { SO_MARK,      SO_TIMESTAMPING, SO_LOCK_FILTER,
			     SO_BUSY_POLL, SO_ZEROCOPY,     SO_DEBUG };

struct value {
	uint8_t bytes[OPTION_MAX_BYTES]; /* zeroes behind it */
	socklen_t len;
};

/* The kernel says no in several ways when a kind of socket has no such. */
static bool get(int fd, int level, int name, struct value *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->len = sizeof(ret->bytes);
	return getsockopt(fd, level, name, ret->bytes, &ret->len) == 0 &&
	       ret->len <= sizeof(ret->bytes);
}

static bool same(const struct value *a, const struct value *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

/* 0 where there is no such. */
static int get_int(int fd, int name)
{
	socklen_t len = sizeof(int);
	int v = 0;

	return getsockopt(fd, SOL_SOCKET, name, &v, &len) < 0 ? 0 : v;
}

/* The largest buffer that a user can ask for, as it is told. */
static int buffer_max(const char *path)
{
	auto_free char *text = NULL;
	struct err ignored;
	size_t len;

	if (read_file_at(AT_FDCWD, path, 64, &text, &len, &ignored) < 0)
		return INT_MAX;
	return atoi(text) > INT_MAX / 2 ? INT_MAX : 2 * atoi(text);
}

static void refuse(const struct fd_view *fd, struct refusals *no,
		   const char *what, int value, const char *remedy)
{
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd, remedy,
		     "socket with %s %d", what, value);
}

void socket_options_check(const struct fd_view *fd, struct refusals *no)
{
	static const char unset[] = "do not set it";
	const int sock = fd->own_fd;
	socklen_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (get_int(sock, never[i]))
			refuse(fd, no, "option", never[i], unset);
	if (!queue_marked(sock) &&
	    (getsockopt(sock, SOL_SOCKET, SO_GET_FILTER, NULL, &len) < 0 ||
	     len))
		refuse(fd, no, "a filter of instructions:", (int)len,
		       "let the program detach it (SO_DETACH_FILTER)");
	if (get_int(sock, SO_PRIORITY) > USER_PRIORITY_MAX)
		refuse(fd, no, "SO_PRIORITY", get_int(sock, SO_PRIORITY),
		       "use one up to 6");
	if (get_int(sock, SO_SNDBUF) >
	    buffer_max("/proc/sys/net/core/wmem_max"))
		refuse(fd, no, "SO_SNDBUF", get_int(sock, SO_SNDBUF),
		       "use no more than net.core.wmem_max allows");
	if (get_int(sock, SO_RCVBUF) >
	    buffer_max("/proc/sys/net/core/rmem_max"))
		refuse(fd, no, "SO_RCVBUF", get_int(sock, SO_RCVBUF),
		       "use no more than net.core.rmem_max allows");
}

/* What kind it is, which says what to ask: there may be thousands. */
struct kind {
	int domain, type, protocol;
	bool connected; /* or was, and has ended */
};

static void get_kind(int fd, struct kind *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	ret->domain = get_int(fd, SO_DOMAIN);
	ret->type = get_int(fd, SO_TYPE);
	ret->protocol = get_int(fd, SO_PROTOCOL);
	ret->connected = getpeername(fd, (struct sockaddr *)&peer, &len) == 0 ||
			 (poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP);
}

static unsigned int family(int domain)
{
	return domain == AF_UNIX ? LOCAL : NET;
}

static bool fits(const struct option *o, const struct kind *k)
{
	const bool stream = k->type == SOCK_STREAM;

	if (!(o->flags & family(k->domain)) ||
	    (k->connected && o->flags & UNCONNECTED) ||
	    (stream && o->flags & DATAGRAMS))
		return false;
	return o->level == IPPROTO_TCP    ? stream
	       : o->level == IPPROTO_UDP  ? !stream
	       : o->level == IPPROTO_IPV6 ? k->domain == AF_INET6
					  : true;
}

static void add(struct socket_options *to, const struct option *o,
		const struct value *v)
{
	SocketOption *one = &to->options[to->count];

	socket_option__init(one);
	one->level = (uint32_t)o->level;
	one->name = (uint32_t)o->name;
	one->value.data = memcpy(to->values[to->count], v->bytes, v->len);
	one->value.len = v->len;
	to->list[to->count++] = one;
}

int socket_options_read(int fd, struct socket_options *ret, struct err *err)
{
	_Static_assert(ARRAY_SIZE(options) <= ARRAY_SIZE(ret->options),
		       "there is room for all");
	auto_close int fresh = -EBADF;
	struct value now, first;
	struct kind k;

	get_kind(fd, &k);
	fresh = socket(k.domain, k.type | SOCK_CLOEXEC, k.protocol);
	if (fresh < 0)
		return err_sys(err, "socket");
	ret->count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];

		if (fits(o, &k) && get(fd, o->level, o->name, &now) &&
		    get(fresh, o->level, o->name, &first) &&
		    !same(&now, &first))
			add(ret, o, &now);
	}
	return 0;
}

/* NULL: no socket of this family is saved with it. */
static const struct option *find(const SocketOption *o, unsigned int family)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (o->level == (uint32_t)options[i].level &&
		    o->name == (uint32_t)options[i].name &&
		    options[i].flags & family &&
		    o->value.len <= OPTION_MAX_BYTES)
			return &options[i];
	return NULL;
}

static int set(int fd, const SocketOption *o, const void *value,
	       struct err *err)
{
	return setsockopt(fd, (int)o->level, (int)o->name, value,
			  (socklen_t)o->value.len) < 0
		       ? err_sys(err, "socket option %u of level %u", o->name,
				 o->level)
		       : 0;
}

/* Exactly what it was, and nothing that takes root. */
static int set_local(int fd, const SocketOption *o, struct err *err)
{
	const bool buffer = o->name == SO_SNDBUF || o->name == SO_RCVBUF;
	struct value value = { .len = (socklen_t)o->value.len }, now;
	int size, r;

	if (!get(fd, SOL_SOCKET, (int)o->name, &now) || now.len != value.len)
		return err_set(err, -EBADMSG, "socket option %u of %zu bytes",
			       o->name, o->value.len);
	memcpy(value.bytes, o->value.data, value.len);
	memcpy(&size, value.bytes, sizeof(size));
	if (o->name == SO_PRIORITY && (size < 0 || size > USER_PRIORITY_MAX))
		return err_set(err, -EPERM, "SO_PRIORITY %d", size);
	/* The kernel doubles what it is told. */
	size /= 2;
	r = set(fd, o, buffer ? (void *)&size : value.bytes, err);
	if (r < 0)
		return r;
	if (get(fd, SOL_SOCKET, (int)o->name, &now) && same(&now, &value))
		return 0;
	return err_set(err, -ENOTSUP,
		       "socket option %u: this node does not take what it "
		       "was%s",
		       o->name,
		       buffer ? " (net.core.wmem_max, net.core.rmem_max)" : "");
}

int socket_options_set(int fd, SocketOption *const *list, size_t count,
		       enum options_when when, struct err *err)
{
	const unsigned int own = family(get_int(fd, SO_DOMAIN));
	bool early;
	int r = 0;

	if (count > SOCKET_MAX_OPTIONS)
		return err_set(err, -EBADMSG, "%zu options", count);
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct option *o = find(list[i], own);

		if (!o)
			return err_set(err, -EBADMSG,
				       "socket option %u of level %u",
				       list[i]->name, list[i]->level);
		early = o->flags & EARLY;
		if (early == (when == OPTIONS_UNBOUND))
			r = own == LOCAL ? set_local(fd, list[i], err)
					 : set(fd, list[i], list[i]->value.data,
					       err);
	}
	return r;
}
