/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_NET_OPTIONS_H
#define JOBCR_RESOURCE_NET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * The options of sockets that are saved as getsockopt(2) tells them, when
 * they differ from those of a new socket, and set again as they are.
 */
struct net_value {
	int level, name;
	uint8_t value[64];
	size_t len;
};

/* Those of fd that differ; *ret_count is at most room. */
int net_options_read(int fd, struct net_value *ret, size_t room,
		     size_t *ret_count, struct err *err);

/* Is it one of them; and one that has to be set before the socket is bound? */
bool net_option_known(uint32_t level, uint32_t name);
bool net_option_early(uint32_t level, uint32_t name);

int net_option_set(int fd, uint32_t level, uint32_t name, const void *value,
		   size_t len, struct err *err);

#endif
