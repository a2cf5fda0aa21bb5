/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_CONNECTS_H
#define JOBCR_ENGINE_CONNECTS_H

#include "engine/collect.h"

/*
 * Threads that were stopped in connect() on a TCP socket whose connection has
 * come about since.  The kernel would let the call succeed when it is made
 * again, but not on a restored socket, which is connected already: in the
 * image it has succeeded.  Of a frozen tree of which nothing is refused (so
 * no socket is still being connected).
 */
void connects_settle(struct frozen_tree *tree, const struct collection *c);

#endif
