/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/address_map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

struct host {
	int family;
	uint8_t bytes[16];
};

static size_t size_of(int family)
{
	return family == AF_INET ? 4 : 16;
}

static bool is_same(const struct host *a, const struct host *b)
{
	return a->family == b->family &&
	       !memcmp(a->bytes, b->bytes, size_of(a->family));
}

static int parse_host(const char *text, size_t len, struct host *ret)
{
	char copy[INET6_ADDRSTRLEN];

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	ret->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	return inet_pton(ret->family, copy, ret->bytes) == 1 ? 0 : -EINVAL;
}

static int parse(const char *word, struct host *ret_old, struct host *ret_new)
{
	const char *mark = strchr(word, '=');
	int r;

	if (!mark)
		return -EINVAL;
	r = parse_host(word, (size_t)(mark - word), ret_old);
	if (r == 0)
		r = parse_host(mark + 1, strlen(mark + 1), ret_new);
	return r == 0 && ret_old->family != ret_new->family ? -EINVAL : r;
}

/* Is it an address that one node has? */
static bool is_of_a_node(const struct host *h)
{
	static const uint8_t none[16] = { 0 };
	struct in6_addr six;

	if (!memcmp(h->bytes, none, size_of(h->family)))
		return false;
	/* Groups and what is behind them, broadcasts among it. */
	if (h->family == AF_INET)
		return h->bytes[0] && h->bytes[0] < 224;
	memcpy(&six, h->bytes, sizeof(six));
	return !IN6_IS_ADDR_MULTICAST(&six) && !IN6_IS_ADDR_V4MAPPED(&six);
}

static bool is_loopback(const struct host *h)
{
	return h->family == AF_INET ? h->bytes[0] == 127
				    : !memcmp(h->bytes, &in6addr_loopback, 16);
}

int address_map_check(const char *word, struct err *err)
{
	struct host old, new;

	if (parse(word, &old, &new) < 0)
		return err_set(
			err, -EINVAL,
			"\"%.100s\": OLD=NEW with two addresses of IPv4, "
			"or two of IPv6",
			word);
	if (!is_of_a_node(&old) || !is_of_a_node(&new) || is_loopback(&old))
		return err_set(err, -EINVAL,
			       "\"%.100s\": loopback, wildcards and groups are "
			       "the same everywhere",
			       word);
	return 0;
}

int address_maps_check(char *const *words, size_t count, struct err *err)
{
	struct host old[ADDRESS_MAPS_MAX], new;

	if (count > ADDRESS_MAPS_MAX)
		return err_set(err, -EINVAL, "%zu addresses, more than %d",
			       count, ADDRESS_MAPS_MAX);
	for (size_t i = 0; i < count; i++) {
		int r = address_map_check(words[i], err);

		if (r < 0)
			return r;
		(void)parse(words[i], &old[i], &new);
		for (size_t n = 0; n < i; n++)
			if (is_same(&old[n], &old[i]))
				return err_set(err, -EINVAL,
					       "\"%.100s\": that address is "
					       "given twice",
					       words[i]);
	}
	return 0;
}

int address_map_apply(char *const *words, size_t count, int family,
		      uint8_t *host)
{
	struct host was = { .family = family }, old, new;
	struct in6_addr six;

	if (family == AF_INET6) {
		memcpy(&six, host, sizeof(six));
		if (IN6_IS_ADDR_V4MAPPED(&six)) {
			was.family = AF_INET;
			host += 12;
		}
	}
	memcpy(was.bytes, host, size_of(was.family));
	for (size_t i = 0; i < count; i++) {
		if (parse(words[i], &old, &new) < 0 || !is_same(&old, &was))
			continue;
		memcpy(host, new.bytes, size_of(was.family));
		return 1;
	}
	return 0;
}
