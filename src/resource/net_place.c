// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/net_place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/own_address.h"
#include "repair/pair.h"
#include "util/address_map.h"
#include "util/cleanup.h"

bool net_is_here(const union net_address *a)
{
	auto_close int fd =
		socket(a->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union net_address any_port = *a;

	any_port.in.sin_port = 0;
	return fd >= 0 && bind(fd, &any_port.any, pair_address_size(a)) == 0;
}

/* What IPv4 has in an address of IPv6 is in a network of IPv4. */
static void plain(const union net_address *a, union net_address *ret)
{
	if (pair_address_as(a, AF_INET, ret) < 0)
		*ret = *a;
}

void net_put_address(const union net_address *a, SocketAddress *ret,
		     uint8_t host[16])
{
	union net_address own;
	struct err ignored;

	socket_address__init(ret);
	ret->host.data = host;
	ret->port = ntohs(a->in.sin_port);
	plain(a, &own);
	ret->has_prefix = own_address_prefix(&own, &ret->prefix, &ignored) == 0;
	if (a->any.sa_family == AF_INET) {
		memcpy(host, &a->in.sin_addr, 4);
		ret->host.len = 4;
		return;
	}
	memcpy(host, &a->in6.sin6_addr, 16);
	ret->host.len = 16;
	ret->has_scope = a->in6.sin6_scope_id != 0;
	ret->scope = a->in6.sin6_scope_id;
}

static int get_address(const SocketAddress *a, uint32_t domain,
		       union net_address *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	if ((domain != AF_INET && domain != AF_INET6) || a->port > UINT16_MAX ||
	    a->host.len != (domain == AF_INET ? 4 : 16))
		return err_set(err, -EBADMSG, "impossible address");
	ret->any.sa_family = (sa_family_t)domain;
	ret->in.sin_port = htons((uint16_t)a->port);
	if (domain == AF_INET) {
		memcpy(&ret->in.sin_addr, a->host.data, 4);
		return 0;
	}
	memcpy(&ret->in6.sin6_addr, a->host.data, 16);
	ret->in6.sin6_scope_id = a->scope;
	return 0;
}

static void host_text(const union net_address *a, char ret[INET6_ADDRSTRLEN])
{
	const void *host = a->any.sa_family == AF_INET
				   ? (const void *)&a->in.sin_addr
				   : (const void *)&a->in6.sin6_addr;

	if (!inet_ntop(a->any.sa_family, host, ret, INET6_ADDRSTRLEN))
		*ret = '\0';
}

/* Where there is not exactly one it stays what it was, and is named. */
static int move(uint32_t prefix, union net_address *a, struct err *err)
{
	union net_address old, here;
	int r;

	plain(a, &old);
	if (prefix > (old.any.sa_family == AF_INET ? 32 : 128))
		return err_set(err, -EBADMSG, "impossible network");
	if (net_is_here(&old))
		return 0;
	r = own_address_beside(&old, prefix, &here, err);
	if (r == 0)
		r = pair_address_as(&here, a->any.sa_family, a);
	return r == -ENOENT || r == -ENOTUNIQ ? 0 : r;
}

/* Whoever restores is told; twice does no harm. */
static void tell(const struct restore_ctx *ctx, const union net_address *was,
		 const union net_address *now)
{
	char old[INET6_ADDRSTRLEN], new[INET6_ADDRSTRLEN];
	char text[2 * INET6_ADDRSTRLEN + 8];
	union net_address a, b;

	plain(was, &a);
	plain(now, &b);
	host_text(&a, old);
	host_text(&b, new);
	if (strcmp(old, new) == 0)
		return;
	(void)snprintf(text, sizeof(text), "%s is %s", old, new);
	ctx->engine->remark(ctx->engine->arg, REMARK_MOVED, text);
}

int net_place_address(const struct restore_ctx *ctx, const SocketAddress *a,
		      uint32_t domain, union net_address *ret, struct err *err)
{
	union net_address now, was;
	uint8_t *host = domain == AF_INET ? (uint8_t *)&now.in.sin_addr
					  : (uint8_t *)&now.in6.sin6_addr;
	int r = get_address(a, domain, &now, err);

	if (r < 0)
		return r;
	was = now;
	if (!address_map_apply(ctx->addresses, ctx->naddresses, (int)domain,
			       host) &&
	    a->has_prefix)
		r = move(a->prefix, &now, err);
	if (r < 0)
		return r;
	tell(ctx, &was, &now);
	*ret = now;
	return 0;
}
