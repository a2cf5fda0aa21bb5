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
	uint32_t slot; /* of wanted */
	uint64_t start, end;
};

/*
 * A restore reads whole extents, and a file stays as long as one page of it is
 * wanted: what has become rare in an extent or in a stream is saved anew, and
 * so is what the smallest of too many streams have.  And where a restore of
 * the last generation would read too much that is nobody's any more, only what
 * lies in one piece is borrowed: that does not grow with each generation.
 */
#define EXTENT_WORTH(live, all) ((live)*4 >= (all))
#define EXTENT_CLEAN(live, all) ((all) >= 16 && (live)*16 >= (all)*15)
#define STREAM_WORTH(live, all) ((live)*3 >= (all))
#define SPOILT(read, live)      ((read)*100 > (live)*115)

/*
 * What is known of it takes up to six times as much as its records.  Where
 * these are longer nothing is borrowed: so much, and so much more for each MiB
 * of its pages.
 */
#ifndef LENDER_RECORDS /* a test has less */
#define LENDER_RECORDS (12u << 20)
#endif
#define LENDER_EACH 128u

/* One of its extents. */
struct wanted {
	const Extent *extent;
	uint32_t live; /* pages that are wanted of it */
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
 * a part with a meta stream of this digest.  -E2BIG: it is in too many pieces.
 * lender_done in any case.
 */
int lender_open(int dir_fd, const struct user_id *user, const char *job_id,
		uint32_t generation, const uint8_t digest[DIGEST_BYTES],
		struct lender *ret, struct err *err);
void lender_done(struct lender *l);

/* The first that ends behind address, of this process or a later one. */
size_t lender_find(const struct lender *l, int32_t pid, uint64_t address);

#endif
