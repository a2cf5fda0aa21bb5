/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_OWN_NETWORK_H
#define JOBCR_TESTS_LIB_OWN_NETWORK_H

#include <stdbool.h>

/*
 * From now on in a network of its own, where no other address than those of a
 * loopback is to be had, and ports are nobody else's.
 */
bool own_network(void);

#endif
