/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_DRAIN_H
#define JOBCR_DAEMON_DRAIN_H

#include "operation/operation.h"

/*
 * Requests DRAIN and UNDRAIN of this node, for operators only; in a child of
 * jobcrd.  A process of its own does the work, which goes on whatever becomes
 * of the client, of this child, and of jobcrd; asked again while it works, the
 * child tells how it goes.  Replies carry the rows that changed; the last one
 * follows when nothing is left to do.
 */
bool drain_is_asked(const Request *req);
int drain_serve(const struct operation *op, struct err *err);

#endif
