/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/pace.h"

#include <stdbool.h>
#include <string.h>

/*
 * After a change the first slices tell what was there before, and of the rest
 * so many are measured.  What was slower is tried again now and then: memory
 * differs, and so does the load of storage.
 */
#define SKIPPED  8u
#define MEASURED 16u
#define TRY_EACH 8u /* rounds */

void pace_begin(struct pace *p, enum pack_policy policy)
{
	memset(p, 0, sizeof(*p));
	p->policy = policy;
	p->now = policy == PACK_LZ4    ? PACK_FAST
		 : policy == PACK_ZSTD ? PACK_SMALL
				       : PACK_NONE;
}

enum pack_effort pace_effort(const struct pace *p)
{
	return p->now;
}

void pace_waited(struct pace *p, uint64_t ns)
{
	p->waited += ns;
}

/* Is it worth a try again? */
static bool is_due(const struct pace *p, enum pack_effort effort)
{
	return p->rate[effort] == 0 || p->age[effort] >= TRY_EACH;
}

static enum pack_effort choose(const struct pace *p, bool behind)
{
	enum pack_effort now = p->now;

	if (now > PACK_NONE &&
	    (p->rate[now - 1] > p->rate[now] || (!behind && is_due(p, now - 1))))
		return now - 1;
	if (behind && now + 1 < PACK_EFFORTS &&
	    (is_due(p, now + 1) || p->rate[now + 1] > p->rate[now]))
		return now + 1;
	return now;
}

static void end_round(struct pace *p, uint64_t now)
{
	uint64_t took = now - p->since ? now - p->since : 1;

	for (size_t i = 0; i < PACK_EFFORTS; i++)
		p->age[i]++;
	p->rate[p->now] = (double)p->bytes / (double)took;
	p->age[p->now] = 0;
	p->now = choose(p, p->waited > took / 4);
	p->slices = 0;
}

void pace_done(struct pace *p, enum pack_effort effort, size_t bytes,
	       uint64_t now)
{
	if (p->policy != PACK_AUTO || effort != p->now)
		return;
	p->slices++;
	if (p->slices == SKIPPED) {
		p->since = now;
		p->bytes = p->waited = 0;
	} else if (p->slices > SKIPPED) {
		p->bytes += bytes;
	}
	if (p->slices == SKIPPED + MEASURED)
		end_round(p, now);
}
