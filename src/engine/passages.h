/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PASSAGES_H
#define JOBCR_ENGINE_PASSAGES_H

#include "engine/collect.h"
#include "model/refusal.h"

/*
 * Threads of a frozen tree that have put something between themselves and
 * the kernel (seccomp filters, user dispatch): would all calls of a dump come
 * through, and the thread home, if we died at any of them?  Findings are
 * added to no; tasks with user dispatch get their remote.  Nothing is touched.
 */
int passages_check(struct collection *c, struct refusals *no, struct err *err);

#endif
