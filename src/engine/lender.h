/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_LENDER_H
#define JOBCR_ENGINE_LENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/extents.h"
#include "snapshot/snapshot.h"

/* Where a generation that was published has the pages of its processes. */
struct lent {
	int32_t pid;
	uint64_t start, end;
	size_t slot; /* of wanted */
};

/* One of its extents. */
struct wanted {
	const Extent *extent;
	uint64_t live; /* pages that are wanted of it */
	bool worth;
	bool check; /* is to be read again, before it is borrowed */
};

struct lender {
	uint32_t generation;
	ManifestRecord *manifest;
	const PartEntry *part; /* NULL: not opened */
	struct meta meta;
	struct blocks blocks;
	struct lent *v; /* by pid and address; none overlap in one process */
	size_t count;
	uint64_t read_pages, live_pages; /* by a restore; of them, wanted */
	struct wanted *wanted;
	size_t nextents;
};

/*
 * Read the generation in dir_fd; it must be of this job, have this number and
 * a part with a meta stream of this digest.  lender_done in any case.
 */
int lender_open(int dir_fd, const struct user_id *user, const char *job_id,
		uint32_t generation, const uint8_t digest[DIGEST_BYTES],
		struct lender *ret, struct err *err);
void lender_done(struct lender *l);

/* The first that ends behind address, of this process or a later one. */
size_t lender_find(const struct lender *l, int32_t pid, uint64_t address);

#endif
