/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WORKER_OUTPUTS_H
#define JOBCR_WORKER_OUTPUTS_H

#include <stdint.h>

#include "snapshot/snapshot.h"
#include "util/err.h"
#include "worker/worker.h"

/* Output files of the job that is restored, as they were at the cut. */
struct outputs_found {
	struct meta meta; /* it holds the records */
};

/* Read what the snapshot in dir_fd knows; outputs_done in any case. */
int outputs_find(const struct work *w, int dir_fd, const ManifestRecord *m,
		 struct outputs_found *ret, struct err *err);
void outputs_done(struct outputs_found *o);

/*
 * Whatever Slurm has made of them: those put aside take their places again,
 * and one that does not begin with what it held at the cut is written anew
 * from its copy, if there is one; *ret_bytes: so much.
 */
int outputs_put_back(const struct work *w, int dir_fd,
		     const struct outputs_found *o, uint64_t *ret_bytes,
		     struct err *err);

/* A restore has failed: the next start must not empty them. */
void outputs_put_aside(const struct work *w, const struct outputs_found *o);

#endif
