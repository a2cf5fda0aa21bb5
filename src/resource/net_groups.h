/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_NET_GROUPS_H
#define JOBCR_RESOURCE_NET_GROUPS_H

#include <stdbool.h>

#include "util/err.h"

/*
 * Is a socket a member of a multicast group?  The kernel tells that of one
 * group at a time; which groups there are is in /proc.
 */
int net_groups_any(int fd, bool *ret, struct err *err);

#endif
