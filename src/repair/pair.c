/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "repair/pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define OPTION_LOCAL_PORT_RANGE 51 /* IP_LOCAL_PORT_RANGE */

/* On one machine this takes microseconds. */
#define PATIENCE_MS 10000
#define STRANGERS   1000 /* who connect to an address meanwhile */

socklen_t pair_address_size(const union net_address *a)
{
	return a->any.sa_family == AF_INET    ? sizeof(struct sockaddr_in)
	       : a->any.sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : 0;
}

void pair_address_text(const union net_address *a, char *ret, size_t room)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
	else if (a->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
	/* Ports are in the same place. */
	(void)snprintf(ret, room, "%s port %u", host, ntohs(a->in.sin_port));
}

static void map(const struct sockaddr_in *in, union net_address *ret)
{

	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = in->sin_port;
	ret->in6.sin6_addr.s6_addr[10] = ret->in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&ret->in6.sin6_addr.s6_addr[12], &in->sin_addr, 4);
}

int pair_address_as(const union net_address *a, int family,
		    union net_address *ret)
{
	union net_address to = { 0 };

	if (a->any.sa_family == family) {
		to = *a;
	} else if (a->any.sa_family == AF_INET && family == AF_INET6) {
		map(&a->in, &to);
	} else if (a->any.sa_family == AF_INET6 && family == AF_INET &&
		   IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		to.in.sin_family = AF_INET;
		to.in.sin_port = a->in6.sin6_port;
		memcpy(&to.in.sin_addr, &a->in6.sin6_addr.s6_addr[12], 4);
	} else {
		return -EINVAL;
	}
	*ret = to;
	return 0;
}

int pair_address_failed(const char *step, const union net_address *a, int code,
			struct err *err)
{
	char text[80];

	pair_address_text(a, text, sizeof(text));
	if (code == EADDRNOTAVAIL)
		return err_num(
			err, code,
			"%s %s (restore it where that address is, or see "
			"--map-address in jobcr(1))",
			step, text);
	if (code == EADDRINUSE)
		return err_num(err, code, "%s %s (another program has it)",
			       step, text);
	return err_num(err, code, "%s %s", step, text);
}

static int address_failed(const char *step, const union net_address *a,
			  struct err *err)
{
	return pair_address_failed(step, a, errno, err);
}

static int set_on(int fd, int level, int name, int value, struct err *err)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return err_sys(err, "socket option %d", name);
	return 0;
}

static int bind_to(int fd, const union net_address *a, struct err *err)
{
	int r = 0;

	if (a->any.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0, err);
	/* What is left of an older connection is in nobody's way. */
	if (r == 0)
		r = set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1, err);
	if (r < 0)
		return r;
	if (bind(fd, &a->any, pair_address_size(a)) < 0)
		return address_failed("bind to", a, err);
	return 0;
}

static int await_ms(int fd, short events, const char *what, int ms,
		    struct err *err)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "poll");
	return r ? 0 : err_set(err, -ETIMEDOUT, "%s: not done in time", what);
}

static int await(int fd, short events, const char *what, struct err *err)
{
	return await_ms(fd, events, what, PATIENCE_MS, err);
}

static bool same(const union net_address *a, const union net_address *b)
{

	if (a->any.sa_family != b->any.sa_family ||
	    a->in.sin_port != b->in.sin_port)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
}

/* Anybody may connect to an address at which somebody listens. */
static int accept_from(int fd, const union net_address *wanted, int ms,
		       int *ret, struct err *err)
{
	for (unsigned int i = 0; i < STRANGERS; i++) {
		union net_address who = { 0 };
		socklen_t len = sizeof(who);
		auto_close int got = -EBADF;
		int r = await_ms(fd, POLLIN, "accept", ms, err);

		if (r < 0)
			return r;
		got = accept4(fd, &who.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (got < 0 && errno != EAGAIN && errno != ECONNABORTED)
			return err_sys(err, "accept");
		if (got < 0 || !same(&who, wanted))
			continue;
		*ret = take_fd(&got);
		return 0;
	}
	return err_set(err, -EBUSY, "others go on to connect");
}

static int connect_to(int fd, const union net_address *peer, struct err *err)
{
	int failed = 0, r;
	socklen_t len = sizeof(failed);

	if (connect(fd, &peer->any, pair_address_size(peer)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return address_failed("connect to", peer, err);
	r = await(fd, POLLOUT, "connect", err);
	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
		return err_sys(err, "SO_ERROR");
	errno = failed;
	return failed ? address_failed("connect to", peer, err) : 0;
}

static int never_wait(int fd, struct err *err)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? err_sys(err, "F_SETFL") : 0;
}

/* Where it is bound now, as the other end will see it. */
static int address_seen(int fd, int family, union net_address *ret,
			struct err *err)
{
	union net_address own = { 0 };
	socklen_t len = sizeof(own);

	if (getsockname(fd, &own.any, &len) < 0)
		return err_sys(err, "getsockname");
	if (pair_address_as(&own, family, ret) < 0)
		return err_set(err, -EINVAL, "addresses of two families");
	return 0;
}

/* A firewall, for instance. */
static int name_both(const union net_address *own,
		     const union net_address *other, struct err *err)
{
	char from[80], to[80];

	pair_address_text(own, from, sizeof(from));
	pair_address_text(other, to, sizeof(to));
	return err_wrap(err, -ETIMEDOUT, "connect %s with %s", from, to);
}

/*
 * A port that only connections of others have, to other addresses, can be
 * had by who connects, as the kernel gave it before (Linux 6.3): it is looked
 * for when that is done.
 */
static int bind_to_connect(int fd, const union net_address *own,
			   bool *ret_ranged, struct err *err)
{
	const uint32_t port = ntohs(own->in.sin_port);
	const uint32_t range = port << 16 | port;
	union net_address host = *own;
	const int on = 1;
	int r = bind_to(fd, own, err);

	*ret_ranged = false;
	if (r != -EADDRINUSE || !port)
		return r;
	host.in.sin_port = 0;
	if (setsockopt(fd, IPPROTO_IP, OPTION_LOCAL_PORT_RANGE, &range,
		       sizeof(range)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
		       sizeof(on)) < 0 ||
	    bind(fd, &host.any, pair_address_size(own)) < 0)
		return r;
	*ret_ranged = true;
	return 0;
}

/* Afterwards nothing is left of how it was done. */
static int connect_ranged(int fd, const union net_address *own,
			  const union net_address *peer, struct err *err)
{
	const uint32_t none = 0;
	int r = connect_to(fd, peer, err);

	if (r == -EADDRNOTAVAIL) {
		errno = EADDRINUSE;
		return address_failed("bind to", own, err);
	}
	if (r == 0 && setsockopt(fd, IPPROTO_IP, OPTION_LOCAL_PORT_RANGE, &none,
				 sizeof(none)) < 0)
		return err_sys(err, "IP_LOCAL_PORT_RANGE");
	return r < 0 ? r
		     : set_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, err);
}

static int join(int from, const union net_address *own, int to,
		const union net_address *other, int *ret, struct err *err)
{
	union net_address peer = { 0 }, seen = { 0 };
	bool ranged;
	int r;

	r = bind_to_connect(from, own, &ranged, err);
	if (r == 0)
		r = bind_to(to, other, err);
	if (r == 0 && listen(to, 8) < 0)
		r = address_failed("listen at", other, err);
	if (r == 0)
		r = address_seen(to, own->any.sa_family, &peer, err);
	if (r == 0)
		r = ranged ? connect_ranged(from, own, &peer, err)
			   : connect_to(from, &peer, err);
	if (r == 0)
		r = address_seen(from, other->any.sa_family, &seen, err);
	return r < 0 ? r : accept_from(to, &seen, PATIENCE_MS, ret, err);
}

int pair_join(int from, const union net_address *own, int to,
	      const union net_address *other, int *ret, struct err *err)
{
	int r;

	r = never_wait(from, err);
	if (r == 0)
		r = never_wait(to, err);
	if (r == 0)
		r = join(from, own, to, other, ret, err);
	return r == -ETIMEDOUT ? name_both(own, other, err) : r;
}

/* Both ends have to say the same: by what both know, without families. */
static bool is_lower(const union net_address *own,
		     const union net_address *peer)
{
	union net_address a, b;
	int order;

	if (pair_address_as(own, AF_INET6, &a) < 0 ||
	    pair_address_as(peer, AF_INET6, &b) < 0)
		return false;
	order = memcmp(&a.in6.sin6_addr, &b.in6.sin6_addr, 16);
	return order ? order < 0
		     : ntohs(a.in6.sin6_port) < ntohs(b.in6.sin6_port);
}

static int wait_for(int fd, const union net_address *own,
		    const union net_address *peer, unsigned int ms, int *ret,
		    struct err *err)
{
	int r = bind_to(fd, own, err);

	if (r < 0)
		return r;
	if (listen(fd, 8) < 0)
		return address_failed("listen at", own, err);
	return accept_from(fd, peer, (int)ms, ret, err);
}

/* Who listens may not be there yet.  Of a failed attempt the next one tells
 * once more (ECONNABORTED). */
static int call(int fd, const union net_address *own,
		const union net_address *peer, unsigned int ms, int *ret,
		struct err *err)
{
	const struct timespec nap = { .tv_nsec = 5000000 };
	const uint64_t deadline =
		clock_monotonic_ns() + ms * (NSEC_PER_SEC / 1000);
	int r = bind_to(fd, own, err);

	while (r == 0) {
		r = connect_to(fd, peer, err);
		if (r == 0 || clock_monotonic_ns() >= deadline ||
		    (r != -ECONNREFUSED && r != -EHOSTUNREACH &&
		     r != -ECONNABORTED))
			break;
		nanosleep(&nap, NULL);
		r = 0;
	}
	if (r < 0)
		return r;
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? err_sys(err, "duplicate a socket") : 0;
}

int pair_meet(int fd, const union net_address *own,
	      const union net_address *peer, unsigned int ms, int *ret,
	      struct err *err)
{
	union net_address other;
	int r;

	if (pair_address_as(peer, own->any.sa_family, &other) < 0)
		return err_set(err, -EINVAL, "addresses of two families");
	r = never_wait(fd, err);
	if (r < 0)
		return r;
	r = is_lower(own, peer) ? wait_for(fd, own, &other, ms, ret, err)
				: call(fd, own, &other, ms, ret, err);
	return r == -ETIMEDOUT ? name_both(own, peer, err) : r;
}

int pair_send(int from, const void *data, size_t len, struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(from, (const uint8_t *)data + done, len - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) {
			int r = await(from, POLLOUT, "send", err);

			if (r < 0)
				return r;
		} else if (n < 0 && errno != EINTR) {
			return err_sys(err, "send %zu bytes", len);
		}
	}
	return 0;
}

int pair_end_at_once(int fd, struct err *err)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) <
	    0)
		return err_sys(err, "SO_LINGER");
	return 0;
}

int pair_await_end(int fd, struct err *err)
{
	/* POLLHUP is always told of. */
	return await(fd, 0, "reset", err);
}

int pair_await(int to, size_t bytes, struct err *err)
{
	const struct timespec nap = { .tv_nsec = 100000 };
	uint64_t deadline =
		clock_monotonic_ns() + PATIENCE_MS * (NSEC_PER_SEC / 1000);
	int n = 0;

	for (;;) {
		if (ioctl(to, SIOCINQ, &n) < 0)
			return err_sys(err, "SIOCINQ");
		if ((size_t)n >= bytes)
			return 0;
		if (clock_monotonic_ns() >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "%d of %zu bytes have arrived in time",
				       n, bytes);
		nanosleep(&nap, NULL);
	}
}
