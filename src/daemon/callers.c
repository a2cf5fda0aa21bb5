/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Anybody on the network may connect, and say nothing.  So those that are not
 * known yet have only so many places, and a new one is never turned away for
 * them: who has been silent for longest makes room.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/server.h"
#include "util/clock.h"

/* Of one network, and in all: twice, for ports that only root has. */
#define NETWORK_MAX 32
#define UNKNOWN_MAX 64
#define USER_MAX    64
#define RESERVED    1024
/* Of an IPv6 address, of which anybody has as many as they want. */
#define NETWORK 8

/* No uids: what is known of a caller. */
#define NOBODY  ((uid_t)-1)
#define SILENT  ((uid_t)-2)
#define SPEAKS  ((uid_t)-3)
#define DROPPED ((uid_t)-4)

struct one {
	uid_t who; /* by both sides, in one step */
	bool reserved;
	uint8_t network[sizeof(struct in6_addr)];
	uint64_t since;
};

struct callers {
	size_t count;
	struct one list[];
};

int callers_new(size_t count, struct callers **ret, struct err *err)
{
	struct callers *c =
		mmap(NULL, sizeof(*c) + count * sizeof(c->list[0]),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED)
		return err_sys(err, "memory");
	c->count = count;
	for (size_t i = 0; i < count; i++)
		c->list[i].who = NOBODY;
	*ret = c;
	return 0;
}

static struct one describe(const struct sockaddr_storage *from)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;
	struct one o = { .who = SILENT, .since = clock_monotonic_ns() };
	in_port_t port;

	if (from->ss_family == AF_INET6) {
		port = six->sin6_port;
		memcpy(o.network, &six->sin6_addr,
		       IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)
			       ? sizeof(six->sin6_addr)
			       : NETWORK);
	} else {
		port = four->sin_port;
		memcpy(o.network, &four->sin_addr, sizeof(four->sin_addr));
	}
	o.reserved = ntohs(port) < RESERVED;
	return o;
}

static bool is_known(uid_t who)
{
	return who != SILENT && who != SPEAKS;
}

/* Silent ones go first, then whoever came first. */
static bool goes_before(const struct one *a, const struct one *b)
{
	if ((a->who == SILENT) != (b->who == SILENT))
		return a->who == SILENT;
	return a->since < b->since;
}

ssize_t callers_crowd(struct callers *c, const struct sockaddr_storage *from)
{
	const struct one now = describe(from);
	struct one *of_network = NULL, *of_all = NULL, *drop;
	size_t same = 0, all = 0;
	uid_t was;

	for (size_t i = 0; i < c->count; i++) {
		struct one *o = &c->list[i];

		if (is_known(o->who) || o->reserved != now.reserved)
			continue;
		all++;
		if (!of_all || goes_before(o, of_all))
			of_all = o;
		if (memcmp(o->network, now.network, sizeof(now.network)) != 0)
			continue;
		same++;
		if (!of_network || goes_before(o, of_network))
			of_network = o;
	}
	drop = same >= NETWORK_MAX  ? of_network
	       : all >= UNKNOWN_MAX ? of_all
				    : NULL;
	if (!drop)
		return -ENOENT;
	was = drop->who;
	/* Otherwise it is known by now, and there is room. */
	return !is_known(was) && __atomic_compare_exchange_n(
					 &drop->who, &was, DROPPED, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
		       ? drop - c->list
		       : -ENOENT;
}

void callers_begin(struct callers *c, size_t own,
		   const struct sockaddr_storage *from)
{
	c->list[own] = describe(from);
}

void callers_end(struct callers *c, size_t own)
{
	__atomic_store_n(&c->list[own].who, NOBODY, __ATOMIC_SEQ_CST);
}

bool callers_spoke(struct callers *c, size_t own)
{
	uid_t was = SILENT;

	return __atomic_compare_exchange_n(&c->list[own].who, &was, SPEAKS,
					   false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

bool callers_admit(struct callers *c, size_t own, uid_t uid)
{
	size_t same = 0;
	uid_t was = SPEAKS;

	if (!__atomic_compare_exchange_n(&c->list[own].who, &was, uid, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	for (size_t i = 0; i < c->count; i++)
		same += __atomic_load_n(&c->list[i].who, __ATOMIC_SEQ_CST) ==
			uid;
	return !uid || same <= USER_MAX;
}
