/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_ADDRESS_MAP_H
#define JOBCR_UTIL_ADDRESS_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Addresses of a node that sockets have on another one: words "OLD=NEW", two
 * of IPv4 or two of IPv6, without ports.
 */
#define ADDRESS_MAPS_MAX 64

/* -EINVAL says what is wrong with the word: OLD is neither loopback nor a
 * wildcard, and NEW is an address of one node. */
int address_map_check(const char *word, struct err *err);

/* All of them; no OLD is given twice. */
int address_maps_check(char *const *words, size_t count, struct err *err);

/*
 * Replace an address by its NEW; what IPv4 has in an address of IPv6
 * (::ffff:192.0.2.1) is one of IPv4.  host has 4 or 16 bytes.  Words were
 * checked.  1: it was replaced, 0: no word is about it.
 */
int address_map_apply(char *const *words, size_t count, int family,
		      uint8_t *host);

#endif
