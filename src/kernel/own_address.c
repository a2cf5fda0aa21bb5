/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/own_address.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdbool.h>
#include <string.h>

#define BITS 8u /* of a byte */

static const uint8_t *host_of(const union net_address *a, uint32_t *ret_bits)
{
	*ret_bits = a->any.sa_family == AF_INET ? 32 : 128;
	return a->any.sa_family == AF_INET ? (const uint8_t *)&a->in.sin_addr
					   : (const uint8_t *)&a->in6.sin6_addr;
}

static bool is_known_outside(const union net_address *a)
{
	if (a->any.sa_family == AF_INET)
		return (ntohl(a->in.sin_addr.s_addr) >> 24) != 127;
	return a->any.sa_family == AF_INET6 &&
	       !IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) &&
	       !IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr);
}

/* Of one family: do they begin with the same bits? */
static bool has_same(const union net_address *a, const union net_address *b,
		     uint32_t bits)
{
	const uint32_t whole = bits / BITS, rest = bits % BITS;
	const uint8_t *x, *y;
	uint32_t all;

	x = host_of(a, &all);
	y = host_of(b, &all);
	if (a->any.sa_family != b->any.sa_family || bits > all ||
	    memcmp(x, y, whole) != 0)
		return false;
	return !rest || !((x[whole] ^ y[whole]) >> (BITS - rest));
}

/* false: an interface without an address that we look at. */
static bool address_of(const struct ifaddrs *i, union net_address *ret)
{
	if (!i->ifa_addr || !i->ifa_netmask ||
	    (i->ifa_addr->sa_family != AF_INET &&
	     i->ifa_addr->sa_family != AF_INET6))
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, i->ifa_addr,
	       i->ifa_addr->sa_family == AF_INET ? sizeof(ret->in)
						 : sizeof(ret->in6));
	return is_known_outside(ret);
}

static uint32_t count_bits(const struct ifaddrs *i)
{
	union net_address mask = { 0 };
	const uint8_t *bytes;
	uint32_t all, n = 0;

	mask.any.sa_family = i->ifa_addr->sa_family;
	if (mask.any.sa_family == AF_INET)
		memcpy(&mask.in, i->ifa_netmask, sizeof(mask.in));
	else
		memcpy(&mask.in6, i->ifa_netmask, sizeof(mask.in6));
	mask.any.sa_family = i->ifa_addr->sa_family;
	bytes = host_of(&mask, &all);
	while (n < all && bytes[n / BITS] & (0x80u >> n % BITS))
		n++;
	return n;
}

int own_address_prefix(const union net_address *a, uint32_t *ret,
		       struct err *err)
{
	struct ifaddrs *list;
	union net_address own;
	uint32_t all;
	bool found = false;

	if (!is_known_outside(a))
		return err_set(err, -ENOENT, "no address of an interface");
	if (getifaddrs(&list) < 0)
		return err_sys(err, "addresses of this node");
	(void)host_of(a, &all);
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		found = address_of(i, &own) && has_same(&own, a, all);
		if (found)
			*ret = count_bits(i);
	}
	freeifaddrs(list);
	return found ? 0 : err_set(err, -ENOENT, "no address of this node");
}

int own_address_beside(const union net_address *a, uint32_t prefix,
		       union net_address *ret, struct err *err)
{
	union net_address own, found = { 0 };
	struct ifaddrs *list;
	uint32_t all;
	size_t count = 0;

	(void)host_of(a, &all);
	if (getifaddrs(&list) < 0)
		return err_sys(err, "addresses of this node");
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!address_of(i, &own) || !has_same(&own, a, prefix) ||
		    (count && has_same(&own, &found, all)))
			continue;
		found = own;
		count++;
	}
	freeifaddrs(list);
	if (count != 1)
		return err_set(err, count ? -ENOTUNIQ : -ENOENT,
			       "%zu addresses of this node in its network",
			       count);
	found.in.sin_port = a->in.sin_port;
	*ret = found;
	return 0;
}
