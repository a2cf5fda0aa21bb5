/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_LOOKING_H
#define JOBCR_OPERATION_LOOKING_H

#include "util/err.h"

/*
 * A look into the store, which may hang, for somebody who waits.  First a child
 * looks, and what it finds is lost: a process that the kernel holds there cannot
 * answer.  Where it comes back in ten seconds the same is done here, with its
 * result.  -ETIMEDOUT: the store, which is named, does not answer.
 */
int looking(int (*look)(void *arg, struct err *err), void *arg,
	    const char *store, struct err *err);

#endif
