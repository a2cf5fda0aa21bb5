/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_RECHECK_H
#define JOBCR_ENGINE_RECHECK_H

#include "engine/engine.h"
#include "engine/lender.h"
#include "util/err.h"

/* What is to be borrowed is read again (snapshot/reread.h), by a thread. */
struct recheck;

/*
 * Begin to read those of l->wanted that are marked (check).  All is borrowed
 * until recheck_end.  bandwidth: as in checkpoint_args.
 */
int recheck_begin(const struct checkpoint_args *args, const struct lender *l,
		  struct bucket *bandwidth, struct recheck **ret,
		  struct err *err);

/* Wait until all is read.  -EBADMSG: it is damaged; others: not readable. */
int recheck_end(struct recheck *r, struct err *err);

/* Nobody wants to know; NULL too. */
void recheck_drop(struct recheck *r);

#endif
