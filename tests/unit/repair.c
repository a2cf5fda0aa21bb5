// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP connections: read while they move, read by who is killed, made again. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "repair/chain.h"
#include "repair/datagram.h"
#include "repair/leftover.h"
#include "repair/pair.h"
#include "repair/stream.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define LIMIT (64u << 20)

enum { FROM, TO };

static union net_address loopback(uint16_t port)
{
	return (union net_address){
		.in = { .sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	};
}

static int get(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, name, &v, &len) < 0 ? -1 : v;
}

static bool join(int ends[2])
{
	auto_close int listener =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address at = loopback(0);
	socklen_t len = sizeof(at.in);

	ends[FROM] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, &at.any, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, &at.any, &len) < 0 ||
	    connect(ends[FROM], &at.any, len) < 0)
		return false;
	ends[TO] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return ends[TO] >= 0;
}

static void part(int ends[2])
{
	close(ends[FROM]);
	close(ends[TO]);
}

static size_t fill(int fd)
{
	uint8_t buf[3001];
	size_t at = 0;
	ssize_t n;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)((at + i) % 251);
		n = write(fd, buf, sizeof(buf));
		if (n <= 0)
			return at;
		at += (size_t)n;
	}
}

static bool is_pattern(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != i % 251)
			return false;
	return true;
}

static bool drains(int fd, size_t len)
{
	auto_free uint8_t *data = malloc(len + 1);
	size_t got = 0;
	ssize_t n;

	while (got < len + 1) {
		n = recv(fd, data + got, len + 1 - got, 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got == len && is_pattern(data, len);
}

static void test_plain(void)
{
	struct tcp_stream s = { 0 };
	struct err err = { 0 };
	int ends[2];

	if (!ok(join(ends), "a connection"))
		return;
	ok(stream_read(ends[FROM], ends[TO], LIMIT, &s, &err) == 0 && !s.len,
	   "nothing is on its way %s", err.text);
	free(s.data);
	ok(write(ends[FROM], "abc", 3) == 3 &&
		   stream_read(ends[FROM], ends[TO], LIMIT, &s, &err) == 0 &&
		   s.len == 3 && s.unread == 3 && !memcmp(s.data, "abc", 3),
	   "three bytes have arrived %s", err.text);
	free(take_ptr(s.data));
	ok(stream_read(ends[FROM], ends[TO], 2, &s, &err) == -EFBIG,
	   "more than the limit: %s", err.text);
	ok(stream_read(ends[FROM], -1, LIMIT, &s, &err) == 0 && !s.len,
	   "nothing arrives where nobody is");
	ok(shutdown(ends[FROM], SHUT_WR) == 0 &&
		   stream_read(ends[FROM], ends[TO], LIMIT, &s, &err) == 0 &&
		   s.len == 3,
	   "an end is no byte %s", err.text);
	free(s.data);
	close(ends[FROM]);
	ok(stream_read(-1, ends[TO], LIMIT, &s, &err) == 0 && s.len == 3,
	   "of one that is closed %s", err.text);
	free(s.data);
	close(ends[TO]);
}

/* Both queues are full, perhaps with an end behind. */
static void test_full(bool ended)
{
	struct tcp_stream s = { 0 };
	struct err err = { 0 };
	int ends[2], on = 1, unread = 0, r;
	size_t written;

	if (!ok(join(ends), "a connection"))
		return;
	setsockopt(ends[FROM], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	written = fill(ends[FROM]);
	if (ended)
		shutdown(ends[FROM], SHUT_WR);
	(void)ioctl(ends[TO], SIOCINQ, &unread);
	ok(unread > 0 && (size_t)unread < written,
	   "%zu bytes, %d of them have arrived", written, unread);
	r = stream_read(ends[FROM], ends[TO], LIMIT, &s, &err);
	ok(r == 0 && s.len == written && is_pattern(s.data, s.len),
	   "all are read, %zu have arrived %s", s.unread, err.text);
	free(s.data);
	ok(get(ends[FROM], IPPROTO_TCP, TCP_REPAIR) == 0 &&
		   get(ends[TO], IPPROTO_TCP, TCP_REPAIR) == 0 &&
		   get(ends[FROM], SOL_SOCKET, SO_REUSEADDR) == 1 &&
		   get(ends[TO], SOL_SOCKET, SO_REUSEADDR) == 0,
	   "both ends are as they were");
	shutdown(ends[FROM], SHUT_WR);
	ok(drains(ends[TO], written), "and nothing of it was taken");
	part(ends);
}

static void test_moving(void)
{
	struct err err = { 0 };
	int ends[2], rounds = 0, moved = 0, rate = 5000000, room = 6000000;
	size_t written, last = 0;
	bool good = true;

	if (!ok(join(ends), "a connection"))
		return;
	/* The kernel sends no faster, so there is something to be sent. */
	setsockopt(ends[FROM], SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
		   sizeof(rate));
	setsockopt(ends[TO], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	written = fill(ends[FROM]);
	/* A slow machine sees less of them, until all have arrived. */
	for (; good && (rounds < 100 || (moved <= 2 && last < written));
	     rounds++) {
		struct tcp_stream s = { 0 };

		good = stream_read(ends[FROM], ends[TO], LIMIT, &s, &err) ==
			       0 &&
		       s.len == written && is_pattern(s.data, s.len);
		moved += s.unread != last;
		last = s.unread;
		free(s.data);
	}
	ok(good && moved > 2,
	   "read %d times while bytes move: they moved %d times %s", rounds,
	   moved, err.text);
	shutdown(ends[FROM], SHUT_WR);
	ok(drains(ends[TO], written), "and all arrive in the end");
	part(ends);
}

/* Who reads is killed at any moment: the socket is never left in repair. */
static void test_killed(void)
{
	int ends[2], on = 1, bad = 0, rounds = 1500;
	size_t written;

	if (!ok(join(ends), "a connection"))
		return;
	setsockopt(ends[FROM], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	written = fill(ends[FROM]);
	for (int i = 0; i < rounds; i++) {
		struct timespec t = { .tv_nsec = 150000 + i * 997 % 1500000 };
		pid_t child = fork();

		if (child == 0) {
			struct tcp_stream s;
			struct err err;

			for (;;)
				if (stream_read(ends[FROM], ends[TO], LIMIT, &s,
						&err) == 0)
					free(s.data);
		}
		nanosleep(&t, NULL);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		bad += get(ends[FROM], IPPROTO_TCP, TCP_REPAIR) != 0 ||
		       get(ends[TO], IPPROTO_TCP, TCP_REPAIR) != 0 ||
		       get(ends[FROM], SOL_SOCKET, SO_REUSEADDR) != 1 ||
		       get(ends[TO], SOL_SOCKET, SO_REUSEADDR) != 0;
	}
	ok(!bad, "killed %d times: %d times a socket was not as before", rounds,
	   bad);
	shutdown(ends[FROM], SHUT_WR);
	ok(drains(ends[TO], written), "and nothing of it was taken");
	part(ends);
}

static uint16_t port_of(int fd)
{
	union net_address a = { 0 };
	socklen_t len = sizeof(a);

	return getsockname(fd, &a.any, &len) < 0 ? 0 : ntohs(a.in.sin_port);
}

static bool is_at(int fd, const union net_address *a)
{
	union net_address b = { 0 };
	socklen_t len = sizeof(b);

	return getsockname(fd, &b.any, &len) == 0 &&
	       !memcmp(a, &b, pair_address_size(a));
}

/* Two ports that are free, or were a moment ago. */
static void free_ports(uint16_t ret[2])
{
	union net_address at = loopback(0);
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		(void)bind(fds[i], &at.any, sizeof(at.in));
		ret[i] = port_of(fds[i]);
	}
	close(fds[0]);
	close(fds[1]);
}

/* family of the end that listens; the other one is of IPv4 */
static void test_pair(int family)
{
	auto_close int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_close int to = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address own, plain, other = { 0 };
	struct err err = { 0 };
	int got = -1;
	uint16_t ports[2];
	char buf[8] = "";

	if (to < 0) {
		skip("no IPv6");
		return;
	}
	free_ports(ports);
	own = loopback(ports[0]);
	plain = loopback(ports[1]);
	ok(pair_address_as(&plain, family, &other) == 0, "an address");
	ok(pair_join(from, &own, to, &other, &got, &err) == 0, "connected %s",
	   err.text);
	ok(is_at(from, &own) && is_at(got, &other), "at their addresses");
	ok(pair_send(from, "bytes", 5, &err) == 0 &&
		   pair_await(got, 5, &err) == 0 && recv(got, buf, 5, 0) == 5 &&
		   !strcmp(buf, "bytes"),
	   "what is sent arrives %s", err.text);
	cleanup_close(&got);
}

/* Others knock at the door meanwhile. */
static void test_strangers(void)
{
	union net_address own, other;
	uint16_t ports[2];
	int good = 0;
	pid_t child;

	free_ports(ports);
	own = loopback(ports[0]);
	other = loopback(ports[1]);
	child = fork();
	if (child == 0) {
		for (;;) {
			int fd = socket(AF_INET, SOCK_STREAM, 0);

			(void)connect(fd, &other.any, sizeof(other.in));
			close(fd);
		}
	}
	for (int i = 0; i < 50; i++) {
		auto_close int from = socket(AF_INET, SOCK_STREAM, 0);
		auto_close int to = socket(AF_INET, SOCK_STREAM, 0);
		union net_address seen = { 0 };
		socklen_t len = sizeof(seen);
		struct err err = { 0 };
		int got = -1;
		const struct linger at_once = { 1, 0 };

		if (pair_join(from, &own, to, &other, &got, &err) < 0)
			diag("%s", err.text);
		else
			good += getpeername(got, &seen.any, &len) == 0 &&
				seen.in.sin_port == own.in.sin_port;
		setsockopt(from, SOL_SOCKET, SO_LINGER, &at_once,
			   sizeof(at_once));
		cleanup_close(&got);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ok(good == 50, "nobody else is taken for the other end: %d of 50",
	   good);
}

static void test_taken(void)
{
	auto_close int there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_close int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_close int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address at = loopback(0), other;
	struct err err = { 0 };
	uint16_t ports[2];
	int got = -1;
	char text[80];

	free_ports(ports);
	other = loopback(ports[0]);
	(void)bind(there, &at.any, sizeof(at.in));
	at = loopback(port_of(there));
	pair_address_text(&at, text, sizeof(text));
	ok(pair_join(from, &at, to, &other, &got, &err) == -EADDRINUSE &&
		   strstr(err.text, text),
	   "an address that is taken, by name: %s", err.text);
	cleanup_close(&got);
}

/* Connections of others have the port, to other addresses. */
static void test_shared_port(void)
{
	auto_close int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_close int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address own, other;
	struct err err = { 0 };
	uint16_t ports[2];
	int ends[2], got = -1, r;

	if (!ok(join(ends), "a connection"))
		return;
	free_ports(ports);
	own = loopback(port_of(ends[FROM]));
	other = loopback(ports[0]);
	r = pair_join(from, &own, to, &other, &got, &err);
	if (r == -EADDRINUSE)
		skip("a port that others connect from: Linux 6.3");
	else
		ok(r == 0 && is_at(from, &own) && is_at(got, &other) &&
			   get(from, IPPROTO_IP, 51) == 0 &&
			   get(from, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) == 0,
		   "its port is one that others connect from %s", err.text);
	cleanup_close(&got);
	part(ends);
}

static void test_leftover(void)
{
	auto_close int again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_close int aside = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address at = loopback(0);
	struct err err = { 0 };
	unsigned int count = 0;
	int ends[2];

	if (!ok(bind(aside, &at.any, sizeof(at.in)) == 0 && join(ends),
		"a connection, and a port that somebody has taken"))
		return;
	at = loopback(port_of(ends[FROM]));
	close(ends[FROM]);
	close(ends[TO]);
	ok(bind(again, &at.any, sizeof(at.in)) < 0 && errno == EADDRINUSE,
	   "what has ended holds its address");
	/* Linux 6.8 tells of all that are only bound, whatever the port is. */
	ok(leftover_forget(&at, geteuid() + 1, &count, &err) == 0 && count == 1,
	   "forgotten, as another user has another port %s", err.text);
	ok(bind(again, &at.any, sizeof(at.in)) == 0, "the address is free");
}

/* Somebody listens there. */
static void test_not_ours(void)
{
	auto_close int listener =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_close int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address at = loopback(0);
	struct err err = { 0 };
	unsigned int count = 0;

	if (bind(listener, &at.any, sizeof(at.in)) < 0 ||
	    listen(listener, 1) < 0)
		return;
	at = loopback(port_of(listener));
	ok(connect(from, &at.any, sizeof(at.in)) == 0, "a connection");
	close(accept(listener, NULL, NULL));
	cleanup_close(&from);
	from = -1;
	ok(leftover_forget(&at, geteuid() + 1, &count, &err) == 0 && !count,
	   "what another user has is not touched %s", err.text);
	ok(leftover_forget(&at, geteuid(), &count, &err) == 0 && count == 1,
	   "ended once more, and forgotten %s", err.text);
}

static void test_datagrams(void)
{
	auto_close int to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	auto_close int from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	auto_free uint8_t *data = malloc(DATAGRAM_MAX_BYTES);
	union net_address at = loopback(0), source;
	struct err err = { 0 };
	int bad = 0, rounds = 700;
	size_t len = 0;
	char buf[8];

	if (bind(to, &at.any, sizeof(at.in)) < 0)
		return;
	at = loopback(port_of(to));
	ok(datagram_peek(to, 0, data, &len, &source, &err) == -ENOENT,
	   "nothing is there: %s", err.text);
	(void)sendto(from, "one", 3, 0, &at.any, sizeof(at.in));
	(void)sendto(from, "second", 6, 0, &at.any, sizeof(at.in));
	ok(datagram_peek(to, 0, data, &len, &source, &err) == 0 && len == 3 &&
		   !memcmp(data, "one", 3) &&
		   ntohs(source.in.sin_port) == port_of(from),
	   "one, and who has sent it %s", err.text);
	ok(datagram_peek(to, 3, data, &len, &source, &err) == 0 && len == 6 &&
		   !memcmp(data, "second", 6),
	   "the second %s", err.text);
	ok(datagram_peek(to, 9, data, &len, &source, &err) == -ENOENT &&
		   get(to, SOL_SOCKET, SO_PEEK_OFF) == -1,
	   "no more");
	for (int i = 0; i < rounds; i++) {
		struct timespec t = { .tv_nsec = 150000 + i * 997 % 900000 };
		pid_t child = fork();

		if (child == 0)
			for (;;)
				(void)datagram_peek(to, 3, data, &len, &source,
						    &err);
		nanosleep(&t, NULL);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		bad += get(to, SOL_SOCKET, SO_PEEK_OFF) != -1;
	}
	ok(!bad, "killed %d times: %d times not as before", rounds, bad);
	ok(recv(to, buf, sizeof(buf), 0) == 3 &&
		   recv(to, buf, sizeof(buf), 0) == 6,
	   "and both can be read");
}

int main(void)
{
	struct err err = { 0 };

	if (geteuid() != 0)
		skip_all("needs root");
	signal(SIGPIPE, SIG_IGN);
	test_plain();
	test_pair(AF_INET);
	test_pair(AF_INET6);
	test_strangers();
	test_taken();
	test_shared_port();
	test_leftover();
	test_not_ours();
	if (chain_supported(&err) == -ENOTSUP) {
		skip("what is not sent: %s", err.text);
		return done_testing();
	}
	test_full(false);
	test_full(true);
	test_moving();
	test_killed();
	test_datagrams();
	return done_testing();
}
