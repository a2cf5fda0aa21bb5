/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_LEFTOVER_H
#define JOBCR_REPAIR_LEFTOVER_H

#include <sys/types.h>

#include "kernel/net_address.h"
#include "util/err.h"

/*
 * For a minute the kernel remembers each TCP connection that has ended
 * (TIME_WAIT) and lets nobody have its port who has not asked for that long
 * before.  A job that is restored on its node, and whose connections ended
 * shortly before the cut, is in its own way.
 *
 * Forget those at the port of this address; but none if another user than uid
 * has a socket at that port.  *ret_count: how many.  Needs CAP_NET_ADMIN.
 */
int leftover_forget(const union net_address *local, uid_t uid,
		    unsigned int *ret_count, struct err *err);

#endif
