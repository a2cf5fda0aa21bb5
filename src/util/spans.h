/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_SPANS_H
#define JOBCR_UTIL_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Sets of addresses with something said about each: half-open ranges with a
 * tag.  All functions but spans_add want their arguments settled, and their
 * results are.  {0} is the empty set.  Errors: -ENOMEM only.
 */
struct span {
	uint64_t start, end;
	int32_t tag;
};

struct spans {
	struct span *v; /* ascending, without overlap, once settled */
	size_t count, room;
};

/* Append a range, in any order; an empty one is left out. */
int spans_add(struct spans *s, uint64_t start, uint64_t end, int32_t tag,
	      struct err *err);

/* Sort and join; of ranges that overlap, what was added first counts. */
int spans_settle(struct spans *s, struct err *err);

/*
 * *ret: what of a is not in b, or in b with another tag (same_tag).  Owned by
 * the caller; may not be a or b.
 */
int spans_minus(const struct spans *a, const struct spans *b, bool same_tag,
		struct spans *ret, struct err *err);

/* What of a is in b, or only where b has the same tag; tags are those of a. */
int spans_and(const struct spans *a, const struct spans *b, bool same_tag,
	      struct spans *ret, struct err *err);

/* Put b over a: where both say something, b counts. */
int spans_lay(struct spans *a, const struct spans *b, struct err *err);

/* The first span that ends behind address; count: none. */
size_t spans_find(const struct spans *s, uint64_t address);

bool spans_cover(const struct spans *s, uint64_t start, uint64_t end);

void spans_done(struct spans *s);

#endif
