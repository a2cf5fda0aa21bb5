/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_OWN_ADDRESS_H
#define JOBCR_KERNEL_OWN_ADDRESS_H

#include <stdint.h>

#include "kernel/net_address.h"
#include "util/err.h"

/*
 * Addresses of this node that others know it by: those of its interfaces,
 * without loopback's and those of one link only (IPv6).
 */

/* How many bits of it are its network's.  -ENOENT: it is none of them. */
int own_address_prefix(const union net_address *a, uint32_t *ret,
		       struct err *err);

/*
 * The one address of this node in a's network, of so many bits (as many as a
 * has: there is no other), with a's port.  -ENOENT: there is none; -ENOTUNIQ:
 * there are several.
 */
int own_address_beside(const union net_address *a, uint32_t prefix,
		       union net_address *ret, struct err *err);

#endif
