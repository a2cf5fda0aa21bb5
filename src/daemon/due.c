/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/due.h"

#include <math.h>

#include "util/clock.h"

#define OPTIMUM_MIN_S 60
#define OPTIMUM_MAX_S 86400
/* A store that is busy with one job all the time serves no other. */
#define OPTIMUM_SHARE 10

#define BACKOFF_DOUBLINGS 3
#define BACKOFF_MAX_S     3600

/* With fewer pages the time says nothing about the rate. */
#define RATE_BYTES_MIN (16ull << 20)

/* To hold memory, not to write it: measured 30 to 50, of the slowest kind. */
#define PIN_NS_PER_MIB 200000ull

static double seconds(uint64_t ns)
{
	return (double)ns / (double)NSEC_PER_SEC;
}

uint32_t due_optimum(uint64_t cost_ns, uint64_t total_ns, uint32_t mtbf_s)
{
	double cost = seconds(cost_ns), mtbf = mtbf_s, part, best;
	double least = fmax(OPTIMUM_MIN_S, OPTIMUM_SHARE * seconds(total_ns));

	if (cost >= 2 * mtbf) {
		best = mtbf;
	} else {
		part = sqrt(cost / (2 * mtbf));
		best = sqrt(2 * cost * mtbf) *
			       (1 + part / 3 + part * part / 9) -
		       cost;
	}
	return (uint32_t)fmin(fmax(best, least), OPTIMUM_MAX_S);
}

/* FNV-1a, then mixed: ids that follow each other are to lie far apart. */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	return h ^ h >> 33;
}

uint64_t due_first(uint64_t since, uint32_t interval_s, const char *job_id)
{
	uint64_t half = interval_s * NSEC_PER_SEC / 2;

	return since + half + (half ? hash(job_id) % half : 0);
}

uint64_t due_next(uint64_t due, uint64_t ended, uint32_t interval_s)
{
	uint64_t interval = interval_s * NSEC_PER_SEC;
	uint64_t next = due + interval;

	return next < ended + interval / 2 ? ended + interval / 2 : next;
}

uint64_t due_again(uint64_t ended, uint32_t interval_s, uint32_t failures)
{
	uint32_t doublings = failures ? failures - 1 : 0;
	uint64_t wait = interval_s;

	while (doublings-- && wait < BACKOFF_MAX_S &&
	       wait < (uint64_t)interval_s << BACKOFF_DOUBLINGS)
		wait *= 2;
	if (wait > BACKOFF_MAX_S)
		wait = interval_s > BACKOFF_MAX_S ? interval_s : BACKOFF_MAX_S;
	return ended + wait * NSEC_PER_SEC;
}

uint64_t due_before_limit(uint64_t end, uint32_t limit_s, uint32_t lead_s)
{
	uint64_t lead = lead_s < limit_s / 2 ? lead_s : limit_s / 2;

	lead *= NSEC_PER_SEC;
	return end > lead ? end - lead : 0;
}

uint64_t due_bytes(const struct record_last *last, uint64_t tree_bytes)
{
	if (!last->generation || !last->tree_bytes)
		return tree_bytes;
	if (tree_bytes > last->tree_bytes)
		return last->page_bytes + (tree_bytes - last->tree_bytes);
	return last->page_bytes;
}

uint64_t due_duration(const struct record_last *last,
		      const struct record_rate *rate, uint64_t bytes)
{
	double speed, fixed;

	if (last->generation && last->pages_ns &&
	    last->page_bytes >= RATE_BYTES_MIN &&
	    last->total_ns >= last->pages_ns) {
		speed = (double)last->page_bytes / seconds(last->pages_ns);
		fixed = seconds(last->total_ns - last->pages_ns);
	} else if (rate->samples && rate->bytes_per_s) {
		speed = (double)rate->bytes_per_s;
		fixed = seconds(rate->fixed_ns);
	} else if (last->generation && bytes <= 2 * last->page_bytes) {
		return last->total_ns * 2;
	} else {
		return 0;
	}
	return (uint64_t)((fixed + (double)bytes / speed) *
			  (double)NSEC_PER_SEC);
}

uint64_t due_until_pinned(const struct record_last *last,
			  const struct record_rate *rate, uint64_t bytes)
{
	uint64_t fixed;

	if (last->generation && last->total_ns >= last->pages_ns)
		fixed = last->total_ns - last->pages_ns;
	else if (rate->samples)
		fixed = rate->fixed_ns;
	else
		return 0;
	return fixed + (bytes >> 20) * PIN_NS_PER_MIB;
}
