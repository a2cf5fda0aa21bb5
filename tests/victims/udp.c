// SPDX-License-Identifier: GPL-2.0-or-later
/* UDP: addresses, options, datagrams that were not read. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/victim.h"

struct sockets {
	int fresh, bound, connected, both[2], six, shared[2], away, dual;
	struct sockaddr_in bound_at, connected_at, gone_at;
};

#define OPTION_TXTIME 61
static const int txtime[2] = { CLOCK_MONOTONIC,
			       1 /* SOF_TXTIME_DEADLINE_MODE */ };

static int get(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, name, &v, &len) < 0 ? -1 : v;
}

static void set(int fd, int level, int name, int v)
{
	victim_need(setsockopt(fd, level, name, &v, sizeof(v)) == 0, "option");
}

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);

	victim_need(getsockname(fd, (struct sockaddr *)&in, &len) == 0,
		    "getsockname");
	return in;
}

static int bound(uint32_t host)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(host) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	victim_need(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0, "bind");
	return fd;
}

static void join(int fd, int to)
{
	struct sockaddr_in in = address_of(to);

	victim_need(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0,
		    "connect");
}

static void set_up(struct sockets *s)
{
	struct sockaddr_in far = { .sin_family = AF_INET,
				   .sin_port = htons(53),
				   .sin_addr.s_addr = htonl(0x7f0a0b0c) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in at;

	s->fresh = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	s->bound = bound(0x7f000001);
	s->connected = socket(AF_INET, SOCK_DGRAM, 0);
	join(s->connected, s->bound);
	s->both[0] = bound(0x7f000002);
	s->both[1] = bound(0x7f000003);
	join(s->both[0], s->both[1]);
	join(s->both[1], s->both[0]);
	s->shared[0] = socket(AF_INET, SOCK_DGRAM, 0);
	s->shared[1] = socket(AF_INET, SOCK_DGRAM, 0);
	set(s->shared[0], SOL_SOCKET, SO_REUSEPORT, 1);
	set(s->shared[1], SOL_SOCKET, SO_REUSEPORT, 1);
	at = (struct sockaddr_in){ .sin_family = AF_INET };
	victim_need(bind(s->shared[0], (struct sockaddr *)&at, sizeof(at)) == 0,
		    "a shared port");
	at = address_of(s->shared[0]);
	victim_need(bind(s->shared[1], (struct sockaddr *)&at, sizeof(at)) == 0,
		    "a shared port");
	/* Nobody is there, which does not matter. */
	s->away = socket(AF_INET, SOCK_DGRAM, 0);
	victim_need(connect(s->away, (struct sockaddr *)&far, sizeof(far)) == 0,
		    "connect");
	s->six = socket(AF_INET6, SOCK_DGRAM, 0);
	if (s->six >= 0 &&
	    bind(s->six, (struct sockaddr *)&in6, sizeof(in6)) < 0) {
		close(s->six);
		s->six = -1;
	}
	set(s->away, SOL_SOCKET, SO_LOCK_FILTER, 1);
	set(s->bound, SOL_SOCKET, SO_BROADCAST, 1);
	victim_need(setsockopt(s->bound, SOL_SOCKET, OPTION_TXTIME, &txtime,
			       sizeof(txtime)) == 0,
		    "SO_TXTIME");
	set(s->bound, IPPROTO_IP, IP_PKTINFO, 1);
	set(s->bound, IPPROTO_IP, IP_RECVTTL, 1);
	set(s->bound, IPPROTO_IP, IP_MULTICAST_TTL, 9);
	set(s->bound, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	set(s->bound, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	set(s->bound, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	set(s->bound, SOL_SOCKET, SO_NO_CHECK, 1);
	set(s->bound, SOL_SOCKET, SO_RCVBUF, 100000);
	set(s->connected, IPPROTO_UDP, UDP_SEGMENT, 500);
	s->bound_at = address_of(s->bound);
	s->connected_at = address_of(s->connected);
}

static void put(int fd, const struct sockaddr_in *to, const char *text)
{
	victim_need(sendto(fd, text, strlen(text), 0,
			   (const struct sockaddr *)to,
			   sizeof(*to)) == (ssize_t)strlen(text),
		    text);
}

/* From several, one of them closed; one datagram is as long as can be. */
static void set_up_queues(struct sockets *s)
{
	static char large[60000];
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct sockaddr_in at = { 0 };
	socklen_t len = sizeof(any);
	int gone = bound(0x7f000001);

	memset(large, 'l', sizeof(large));
	put(s->connected, &s->bound_at, "first");
	put(gone, &s->bound_at, "of one that is gone");
	put(s->bound, &s->bound_at, "of itself");
	victim_need(send(s->both[0], large, sizeof(large), 0) ==
				    sizeof(large) &&
			    send(s->both[1], "back", 4, 0) == 4,
		    "queues");
	put(s->connected, &s->bound_at, "last");
	s->gone_at = address_of(gone);
	close(gone);
	s->dual = socket(AF_INET6, SOCK_DGRAM, 0);
	if (s->dual < 0)
		return;
	set(s->dual, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	victim_need(bind(s->dual, (struct sockaddr *)&any, len) == 0 &&
			    getsockname(s->dual, (struct sockaddr *)&any,
					&len) == 0,
		    "dual");
	at.sin_family = AF_INET;
	at.sin_port = any.sin6_port;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	put(s->fresh, &at, "of IPv4");
}

static bool is(struct sockaddr_in a, struct sockaddr_in b)
{
	return a.sin_port == b.sin_port &&
	       a.sin_addr.s_addr == b.sin_addr.s_addr;
}

static void pass(int from, int to, const char *text)
{
	char buf[64] = "";

	victim_check(send(from, text, strlen(text), 0) ==
				     (ssize_t)strlen(text) &&
			     recv(to, buf, sizeof(buf) - 1, 0) ==
				     (ssize_t)strlen(text) &&
			     !strcmp(buf, text),
		     "%s: \"%s\"", text, buf);
}

static void take(int fd, const char *text, struct sockaddr_in from)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);
	char buf[64] = "";

	victim_check(recvfrom(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT,
			      (struct sockaddr *)&in,
			      &len) == (ssize_t)strlen(text) &&
			     !strcmp(buf, text) && is(in, from),
		     "%s: \"%s\" of port %u", text, buf, ntohs(in.sin_port));
}

static void check_queues(const struct sockets *s)
{
	static char large[70000];
	char byte;

	take(s->bound, "first", s->connected_at);
	take(s->bound, "of one that is gone", s->gone_at);
	take(s->bound, "of itself", s->bound_at);
	take(s->bound, "last", s->connected_at);
	victim_check(recv(s->bound, &byte, 1, MSG_DONTWAIT) < 0 &&
			     errno == EAGAIN,
		     "no more");
	victim_check(recv(s->both[1], large, sizeof(large), MSG_DONTWAIT) ==
				     60000 &&
			     large[0] == 'l' && large[59999] == 'l',
		     "a large one");
	take(s->both[0], "back", address_of(s->both[1]));
	if (s->dual >= 0)
		victim_check(recv(s->dual, large, sizeof(large),
				  MSG_DONTWAIT) == 7 &&
				     !memcmp(large, "of IPv4", 7),
			     "between families");
}

static void check_addresses(const struct sockets *s)
{
	struct sockaddr_in peer = { 0 };
	socklen_t len = sizeof(peer);

	victim_check(is(address_of(s->bound), s->bound_at), "bound");
	victim_check(is(address_of(s->connected), s->connected_at) &&
			     getpeername(s->connected, (struct sockaddr *)&peer,
					 &len) == 0 &&
			     is(peer, s->bound_at),
		     "connected");
	pass(s->connected, s->bound, "to whom it is connected");
	pass(s->both[0], s->both[1], "there");
	pass(s->both[1], s->both[0], "back");
	len = sizeof(peer);
	victim_check(getpeername(s->away, (struct sockaddr *)&peer, &len) ==
				     0 &&
			     ntohl(peer.sin_addr.s_addr) == 0x7f0a0b0c,
		     "connected to nobody");
	victim_check(is(address_of(s->shared[0]), address_of(s->shared[1])) &&
			     get(s->shared[1], SOL_SOCKET, SO_REUSEPORT) == 1,
		     "a port of two");
	victim_check(getpeername(s->bound, (struct sockaddr *)&peer, &len) <
				     0 &&
			     errno == ENOTCONN,
		     "not connected");
}

static void check_options(const struct sockets *s)
{
	int now[2] = { 0 };
	socklen_t len = sizeof(now);

	victim_check(getsockopt(s->bound, SOL_SOCKET, OPTION_TXTIME, now,
				&len) == 0 &&
			     !memcmp(now, txtime, sizeof(now)),
		     "SO_TXTIME %d %d", now[0], now[1]);
	victim_check(get(s->bound, SOL_SOCKET, SO_BROADCAST) == 1 &&
			     get(s->connected, SOL_SOCKET, SO_BROADCAST) == 0,
		     "SO_BROADCAST");
	victim_check(get(s->bound, IPPROTO_IP, IP_PKTINFO) == 1, "IP_PKTINFO");
	victim_check(get(s->bound, IPPROTO_IP, IP_RECVTTL) == 1, "IP_RECVTTL");
	victim_check(get(s->bound, IPPROTO_IP, IP_MULTICAST_TTL) == 9 &&
			     get(s->bound, IPPROTO_IP, IP_MULTICAST_LOOP) == 0,
		     "IP_MULTICAST");
	victim_check(get(s->bound, IPPROTO_IP, IP_MTU_DISCOVER) ==
			     IP_PMTUDISC_DO,
		     "IP_MTU_DISCOVER");
	victim_check(get(s->bound, SOL_SOCKET, SO_TIMESTAMPNS) == 1 &&
			     get(s->bound, SOL_SOCKET, SO_TIMESTAMP) == 0,
		     "SO_TIMESTAMPNS");
	victim_check(get(s->bound, SOL_SOCKET, SO_NO_CHECK) == 1,
		     "SO_NO_CHECK");
	victim_check(get(s->bound, SOL_SOCKET, SO_RCVBUF) == 200000 &&
			     get(s->bound, SOL_SOCKET, SO_REUSEADDR) == 0,
		     "SO_RCVBUF");
	victim_check(get(s->away, SOL_SOCKET, SO_LOCK_FILTER) == 1 &&
			     get(s->bound, SOL_SOCKET, SO_LOCK_FILTER) == 0,
		     "SO_LOCK_FILTER");
	victim_check(get(s->connected, IPPROTO_UDP, UDP_SEGMENT) == 500,
		     "UDP_SEGMENT");
	victim_check(fcntl(s->fresh, F_GETFL) & O_NONBLOCK &&
			     !(fcntl(s->bound, F_GETFL) & O_NONBLOCK),
		     "O_NONBLOCK");
}

static void check_six(const struct sockets *s)
{
	struct sockaddr_in6 in6 = { 0 };
	socklen_t len = sizeof(in6);

	if (s->six < 0)
		return;
	victim_check(getsockname(s->six, (struct sockaddr *)&in6, &len) == 0 &&
			     IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) &&
			     connect(s->six, (struct sockaddr *)&in6, len) == 0,
		     "IPv6");
	pass(s->six, s->six, "by IPv6");
}

int main(void)
{
	struct sockets s = { 0 };

	set_up(&s);
	set_up_queues(&s);

	victim_wait();

	check_options(&s);
	check_queues(&s);
	set(s.connected, IPPROTO_UDP, UDP_SEGMENT, 0);
	check_addresses(&s);
	check_six(&s);
	victim_verdict(victim_interrupts == 0, "UDP sockets");
}
