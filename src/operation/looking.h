/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_LOOKING_H
#define JOBCR_OPERATION_LOOKING_H

#include "util/err.h"

/*
 * A look into the store, which may hang, for somebody who waits: look reads,
 * tell sends what it has found.  Both are called in a child, so what they do to
 * arg is lost.  -ETIMEDOUT: the store has not answered in ten seconds; the child
 * ends when it can.
 */
struct looking {
	int (*look)(void *arg, struct err *err);
	int (*tell)(void *arg, struct err *err); /* or NULL */
	void *arg;
	const char *store; /* as the message names it */
};
int looking(const struct looking *l, struct err *err);

#endif
