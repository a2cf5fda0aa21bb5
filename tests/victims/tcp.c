// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP: listeners, connections with bytes in both queues, shut ends, options. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/victim.h"

enum { ONE, OTHER };

struct address {
	struct sockaddr_storage a;
	socklen_t len;
};

struct sockets {
	int listener, listener6, dual, fresh, bound;
	int idle[2], full[2], half[2], left, closing[2], last[2], ended[2],
		read_shut[2];
	int mapped[2], six[2], corked[2], tiny[2];
	size_t written, closing_bytes, last_bytes;
	struct address idle_at[2], mapped_at[2], bound_at, listener_at,
		ended_at;
};

static struct address address_of(int fd)
{
	struct address x = { .len = sizeof(x.a) };

	victim_need(getsockname(fd, (struct sockaddr *)&x.a, &x.len) == 0,
		    "getsockname");
	return x;
}

static bool is_same(const struct address *x, int fd)
{
	struct address y = { .len = sizeof(y.a) };

	return getsockname(fd, (struct sockaddr *)&y.a, &y.len) == 0 &&
	       x->len == y.len && !memcmp(&x->a, &y.a, x->len);
}

static bool is_peer(const struct address *x, int fd)
{
	struct address y = { .len = sizeof(y.a) };

	return getpeername(fd, (struct sockaddr *)&y.a, &y.len) == 0 &&
	       x->len == y.len && !memcmp(&x->a, &y.a, x->len);
}

static void set(int fd, int level, int name, int v)
{
	victim_need(setsockopt(fd, level, name, &v, sizeof(v)) == 0, "option");
}

static int get(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, name, &v, &len) < 0 ? -1 : v;
}

static int listen_at(int family, bool only, int backlog)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (family == AF_INET6) {
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, only);
		if (only)
			in6.sin6_addr = in6addr_loopback;
	}
	if (bind(fd,
		 family == AF_INET ? (struct sockaddr *)&in
				   : (struct sockaddr *)&in6,
		 family == AF_INET ? sizeof(in) : sizeof(in6)) < 0 ||
	    listen(fd, backlog) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Through a listener; of a dual one by IPv4. */
static void join(int listener, int ends[2])
{
	struct address at = address_of(listener);
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&at.a;
	bool mapped = at.a.ss_family == AF_INET6 &&
		      IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);

	in.sin_port = in6->sin6_port;
	ends[ONE] = socket(mapped ? AF_INET : at.a.ss_family, SOCK_STREAM, 0);
	victim_need(connect(ends[ONE],
			    mapped ? (struct sockaddr *)&in
				   : (struct sockaddr *)&at.a,
			    mapped ? sizeof(in) : at.len) == 0,
		    "connect");
	ends[OTHER] = accept(listener, NULL, NULL);
	victim_need(ends[OTHER] >= 0, "accept");
}

static void put(int fd, const char *text)
{
	victim_need(write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		    text);
}

static void take(int fd, const char *text, const char *what)
{
	char buf[64] = "";
	size_t got = 0;

	while (got < strlen(text)) {
		ssize_t n = read(fd, buf + got, strlen(text) - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	victim_check(!strcmp(buf, text), "%s: \"%s\"", what, buf);
}

/* Until neither queue has room. */
static size_t fill(int fd)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	uint8_t buf[5000];
	size_t written = 0;
	ssize_t n;

	victim_need(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)((written + i) % 251);
		n = write(fd, buf, sizeof(buf));
		/* The other end may have taken some of it meanwhile. */
		if (n < 0 && errno == EAGAIN && poll(&room, 1, 100) == 1)
			continue;
		if (n < 0)
			break;
		written += (size_t)n;
	}
	victim_need(errno == EAGAIN, "full");
	return written;
}

static void check_stream(int fd, size_t written, const char *what)
{
	static uint8_t buf[70001];
	size_t got = 0, wrong = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			wrong += buf[i] != got % 251;
	victim_check(n == 0 && got == written && !wrong,
		     "%s: %zu of %zu bytes, %zu wrong, then %zd", what, got,
		     written, wrong, n);
}

/* Of TCP, by number, name and value: not every kernel has them. */
static struct newer {
	int option;
	const char *name;
	int value;
	bool set;
} newer[] = {
	{ 44, "TCP_RTO_MAX_MS", 4000, false },
	{ 45, "TCP_RTO_MIN_US", 100000, false },
	{ 46, "TCP_DELACK_MAX_US", 80000, false },
};

static void set_options(int fd)
{
	const struct linger linger = { 1, 77 };
	const struct timeval wait = { 12, 500000 };

	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	set(fd, SOL_SOCKET, SO_RCVLOWAT, 3);
	set(fd, SOL_SOCKET, SO_SNDBUF, 40000);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 55);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 66);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 7);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 123456);
	set(fd, IPPROTO_TCP, TCP_LINGER2, 33);
	set(fd, IPPROTO_TCP, TCP_SYNCNT, 4);
	set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 54321);
	for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++)
		newer[i].set = setsockopt(fd, IPPROTO_TCP, newer[i].option,
					  &newer[i].value,
					  sizeof(newer[i].value)) == 0;
	set(fd, IPPROTO_IP, IP_TOS, 0x10);
	set(fd, SOL_SOCKET, SO_PRIORITY, 3); /* which that has changed */
	set(fd, IPPROTO_IP, IP_TTL, 33);
	victim_need(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) ==
				    0 &&
			    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				       sizeof(linger)) == 0 &&
			    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait,
				       sizeof(wait)) == 0,
		    "options");
}

static void check_options(int fd)
{
	static const int ints[][3] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ SOL_SOCKET, SO_OOBINLINE, 1 },
		{ SOL_SOCKET, SO_PRIORITY, 3 },
		{ SOL_SOCKET, SO_RCVLOWAT, 3 },
		{ SOL_SOCKET, SO_SNDBUF, 80000 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 55 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 66 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 7 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 123456 },
		{ IPPROTO_TCP, TCP_LINGER2, 33 },
		{ IPPROTO_TCP, TCP_SYNCNT, 4 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 54321 },
		{ IPPROTO_IP, IP_TOS, 0x10 },
		{ IPPROTO_IP, IP_TTL, 33 },
	};
	struct linger linger = { 0 };
	struct timeval wait = { 0 };
	char name[16] = "";
	socklen_t len;

	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
		victim_check(get(fd, ints[i][0], ints[i][1]) == ints[i][2],
			     "option %d of level %d: %d, not %d", ints[i][1],
			     ints[i][0], get(fd, ints[i][0], ints[i][1]),
			     ints[i][2]);
	for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++)
		if (newer[i].set)
			victim_check(get(fd, IPPROTO_TCP, newer[i].option) ==
					     newer[i].value,
				     "%s: %d", newer[i].name,
				     get(fd, IPPROTO_TCP, newer[i].option));
	len = sizeof(name);
	victim_check(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) ==
				     0 &&
			     !strcmp(name, "reno"),
		     "congestion control %s", name);
	len = sizeof(linger);
	victim_check(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) ==
				     0 &&
			     linger.l_onoff == 1 && linger.l_linger == 77,
		     "SO_LINGER %d", linger.l_linger);
	len = sizeof(wait);
	victim_check(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, &len) ==
				     0 &&
			     wait.tv_sec == 12 && wait.tv_usec >= 500000,
		     "SO_RCVTIMEO %ld.%06ld", wait.tv_sec, wait.tv_usec);
}

static void set_up_listeners(struct sockets *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(0x7f010203) };

	s->listener = listen_at(AF_INET, false, 7);
	s->listener6 = listen_at(AF_INET6, true, 3);
	s->dual = listen_at(AF_INET6, false, 5);
	s->fresh = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	s->bound = socket(AF_INET, SOCK_STREAM, 0);
	victim_need(
		s->listener >= 0 && s->fresh >= 0 &&
			bind(s->bound, (struct sockaddr *)&in, sizeof(in)) == 0,
		"sockets");
	set(s->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	set(s->listener, IPPROTO_TCP, TCP_MAXSEG, 1000);
	set(s->fresh, IPPROTO_TCP, TCP_WINDOW_CLAMP, 7777);
	set(s->fresh, SOL_SOCKET, SO_REUSEPORT, 1);
	set(s->fresh, SOL_SOCKET, SO_RCVBUF, 12345);
	s->bound_at = address_of(s->bound);
	s->listener_at = address_of(s->listener);
}

static int state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0
		       ? -1
		       : info.tcpi_state;
}

static void set_up_connections(struct sockets *s)
{
	int pair[2];

	join(s->listener, s->idle);
	set_options(s->idle[OTHER]);
	s->idle_at[ONE] = address_of(s->idle[ONE]);
	s->idle_at[OTHER] = address_of(s->idle[OTHER]);
	join(s->listener, s->full);
	s->written = fill(s->full[ONE]);
	victim_need(s->written > 100000 && fill(s->full[OTHER]) > 100000,
		    "full connection");
	join(s->listener, s->half);
	put(s->half[ONE], "last words");
	shutdown(s->half[ONE], SHUT_WR);
	put(s->half[OTHER], "answer");
	join(s->listener, pair);
	put(pair[ONE], "farewell");
	close(pair[ONE]);
	s->left = pair[OTHER];
	join(s->listener, s->read_shut);
	put(s->read_shut[ONE], "to be read");
	shutdown(s->read_shut[OTHER], SHUT_RD);
	join(s->listener, s->corked);
	set(s->corked[ONE], IPPROTO_TCP, TCP_CORK, 1);
	put(s->corked[ONE], "half a packet");
	join(s->listener, s->tiny);
	set(s->tiny[OTHER], SOL_SOCKET, SO_RCVBUF, 2304);
	if (s->dual >= 0) {
		join(s->dual, s->mapped);
		s->mapped_at[ONE] = address_of(s->mapped[ONE]);
		s->mapped_at[OTHER] = address_of(s->mapped[OTHER]);
		put(s->mapped[OTHER], "mapped");
	}
	if (s->listener6 >= 0) {
		join(s->listener6, s->six);
		put(s->six[ONE], "by version 6");
	}
	/* FIN_WAIT1, with bytes before its FIN, then CLOSING; and FIN_WAIT2. */
	join(s->listener, s->closing);
	s->closing_bytes = fill(s->closing[ONE]);
	shutdown(s->closing[ONE], SHUT_WR);
	put(s->closing[OTHER], "to one that is closing");
	shutdown(s->closing[OTHER], SHUT_WR);
	/* CLOSE_WAIT, then LAST_ACK. */
	join(s->listener, s->last);
	shutdown(s->last[OTHER], SHUT_WR);
	s->last_bytes = fill(s->last[ONE]);
	shutdown(s->last[ONE], SHUT_WR);
	/* CLOSE, with something to be read. */
	join(s->listener, s->ended);
	put(s->ended[ONE], "the end");
	shutdown(s->ended[ONE], SHUT_WR);
	shutdown(s->ended[OTHER], SHUT_WR);
	s->ended_at = address_of(s->ended[OTHER]);
	victim_need(state(s->ended[ONE]) == TCP_CLOSE &&
			    state(s->ended[OTHER]) == TCP_CLOSE,
		    "ended");
	victim_need(state(s->closing[ONE]) == TCP_CLOSING &&
			    state(s->closing[OTHER]) == TCP_FIN_WAIT2 &&
			    state(s->last[ONE]) == TCP_LAST_ACK &&
			    state(s->last[OTHER]) == TCP_FIN_WAIT2 &&
			    state(s->half[ONE]) == TCP_FIN_WAIT2 &&
			    state(s->half[OTHER]) == TCP_CLOSE_WAIT,
		    "states");
}

static void check_listeners(const struct sockets *s)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int pair[2];

	victim_check(getsockopt(s->listener, IPPROTO_TCP, TCP_INFO, &info,
				&len) == 0 &&
			     info.tcpi_state == TCP_LISTEN &&
			     info.tcpi_sacked == 7,
		     "a listener with a backlog of %u", info.tcpi_sacked);
	victim_check(get(s->listener, SOL_SOCKET, SO_REUSEADDR) == 0 &&
			     get(s->idle[OTHER], SOL_SOCKET, SO_REUSEADDR) == 0,
		     "addresses are not to be shared");
	victim_check(get(s->fresh, IPPROTO_TCP, TCP_WINDOW_CLAMP) == 7777,
		     "window %d", get(s->fresh, IPPROTO_TCP, TCP_WINDOW_CLAMP));
	victim_check(get(s->listener, IPPROTO_TCP, TCP_MAXSEG) == 1000,
		     "segment size %d",
		     get(s->listener, IPPROTO_TCP, TCP_MAXSEG));
	victim_check(is_same(&s->listener_at, s->listener), "its address");
	join(s->listener, pair);
	put(pair[ONE], "anew");
	take(pair[OTHER], "anew", "a new connection");
	close(pair[ONE]);
	close(pair[OTHER]);
	if (s->listener6 >= 0) {
		victim_check(get(s->listener6, IPPROTO_IPV6, IPV6_V6ONLY) == 1,
			     "of IPv6 only");
		join(s->listener6, pair);
		put(pair[OTHER], "six");
		take(pair[ONE], "six", "by IPv6");
		close(pair[ONE]);
		close(pair[OTHER]);
	}
	if (s->dual >= 0) {
		victim_check(get(s->dual, IPPROTO_IPV6, IPV6_V6ONLY) == 0,
			     "of both");
		join(s->dual, pair);
		put(pair[OTHER], "four");
		take(pair[ONE], "four", "by IPv4");
		close(pair[ONE]);
		close(pair[OTHER]);
	}
	victim_check(is_same(&s->bound_at, s->bound) &&
			     listen(s->bound, 1) == 0,
		     "a bound socket");
	victim_check(fcntl(s->fresh, F_GETFL) & O_NONBLOCK &&
			     get(s->fresh, SOL_SOCKET, SO_REUSEPORT) == 1 &&
			     get(s->fresh, SOL_SOCKET, SO_RCVBUF) == 24690,
		     "a fresh socket: buffer %d",
		     get(s->fresh, SOL_SOCKET, SO_RCVBUF));
	victim_check(connect(s->fresh, (struct sockaddr *)&s->listener_at.a,
			     s->listener_at.len) == 0 ||
			     errno == EINPROGRESS,
		     "can connect");
}

static void check_idle(const struct sockets *s)
{
	victim_check(is_same(&s->idle_at[ONE], s->idle[ONE]) &&
			     is_same(&s->idle_at[OTHER], s->idle[OTHER]) &&
			     is_peer(&s->idle_at[OTHER], s->idle[ONE]) &&
			     is_peer(&s->idle_at[ONE], s->idle[OTHER]),
		     "four addresses of a connection");
	check_options(s->idle[OTHER]);
	victim_check(get(s->idle[ONE], IPPROTO_TCP, TCP_NODELAY) == 0,
		     "options of one end only");
	put(s->idle[ONE], "there");
	take(s->idle[OTHER], "there", "there");
	put(s->idle[OTHER], "back");
	take(s->idle[ONE], "back", "back");
}

static void check_shut(const struct sockets *s)
{
	struct pollfd p = { .fd = s->read_shut[OTHER], .events = POLLRDHUP };
	char byte;

	take(s->half[OTHER], "last words", "half a connection");
	victim_check(read(s->half[OTHER], &byte, 1) == 0, "which has ended");
	put(s->half[OTHER], " and more");
	take(s->half[ONE], "answer and more", "the other half goes on");
	victim_check(write(s->half[ONE], "x", 1) < 0 && errno == EPIPE,
		     "an end that is shut");
	take(s->left, "farewell", "of one that is closed");
	victim_check(read(s->left, &byte, 1) == 0, "then it ends");
	victim_check(poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP,
		     "shut for reading");
	take(s->read_shut[OTHER], "to be read", "what was there before");
	victim_check(read(s->read_shut[OTHER], &byte, 1) == 0, "and no more");
	fcntl(s->closing[ONE], F_SETFL, 0);
	take(s->closing[ONE], "to one that is closing", "closing");
	victim_check(read(s->closing[ONE], &byte, 1) == 0, "both ways");
	check_stream(s->closing[OTHER], s->closing_bytes, "before its end");
	take(s->ended[OTHER], "the end", "of one that has ended");
	victim_check(read(s->ended[OTHER], &byte, 1) == 0 &&
			     read(s->ended[ONE], &byte, 1) == 0 &&
			     write(s->ended[ONE], "x", 1) < 0 &&
			     errno == EPIPE &&
			     is_same(&s->ended_at, s->ended[OTHER]) &&
			     !is_peer(&s->ended_at, s->ended[OTHER]) &&
			     errno == ENOTCONN,
		     "nothing more");
	fcntl(s->last[ONE], F_SETFL, 0);
	victim_check(read(s->last[ONE], &byte, 1) == 0, "the last one");
	check_stream(s->last[OTHER], s->last_bytes, "before the last end");
}

static void check_rest(const struct sockets *s)
{
	int unread = 0;
	size_t total;

	victim_check(get(s->corked[ONE], IPPROTO_TCP, TCP_CORK) == 1, "corked");
	set(s->corked[ONE], IPPROTO_TCP, TCP_CORK, 0);
	take(s->corked[OTHER], "half a packet", "what was corked");
	victim_check(get(s->tiny[OTHER], SOL_SOCKET, SO_RCVBUF) == 4608,
		     "a tiny buffer: %d",
		     get(s->tiny[OTHER], SOL_SOCKET, SO_RCVBUF));
	total = fill(s->tiny[ONE]);
	shutdown(s->tiny[ONE], SHUT_WR);
	check_stream(s->tiny[OTHER], total, "through a tiny buffer");
	if (s->dual >= 0) {
		victim_check(
			is_same(&s->mapped_at[ONE], s->mapped[ONE]) &&
				is_same(&s->mapped_at[OTHER], s->mapped[OTHER]),
			"addresses of two families");
		take(s->mapped[ONE], "mapped", "between families");
	}
	if (s->listener6 >= 0)
		take(s->six[OTHER], "by version 6", "version 6");
	victim_check(ioctl(s->full[OTHER], SIOCINQ, &unread) == 0 &&
			     unread > 10000,
		     "%d bytes of a full queue can be read", unread);
	victim_check(fcntl(s->full[ONE], F_GETFL) & O_NONBLOCK &&
			     !(fcntl(s->idle[ONE], F_GETFL) & O_NONBLOCK),
		     "O_NONBLOCK of each");
	fcntl(s->full[OTHER], F_SETFL, 0);
	shutdown(s->full[ONE], SHUT_WR);
	check_stream(s->full[OTHER], s->written, "full queues");
}

int main(void)
{
	struct sockets s = { 0 };

	signal(SIGPIPE, SIG_IGN);
	set_up_listeners(&s);
	set_up_connections(&s);

	victim_wait();

	check_listeners(&s);
	check_idle(&s);
	check_shut(&s);
	check_rest(&s);
	victim_verdict(victim_interrupts == 0, "TCP sockets");
}
