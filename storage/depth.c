/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/depth.h"

#include <string.h>

#define STEP      4 /* a trial changes this part */
#define GAIN      9 /* what is clearly more, in 8ths */
#define SHALLOW   4 /* this part of a round may be */
#define PAUSE_MIN 2
#define PAUSE_MAX 64

void depth_init(struct depth *d, unsigned int start, unsigned int max)
{
	memset(d, 0, sizeof(*d));
	(void)pthread_mutex_init(&d->lock, NULL);
	d->start = d->now = start;
	d->max = max;
	d->pause = d->rest = PAUSE_MIN;
}

void depth_done(struct depth *d)
{
	(void)pthread_mutex_destroy(&d->lock);
}

unsigned int depth_now(struct depth *d)
{
	unsigned int now;

	(void)pthread_mutex_lock(&d->lock);
	now = d->now;
	(void)pthread_mutex_unlock(&d->lock);
	return now;
}

/*
 * Larger requests bring more bytes, and fewer requests in the same time.  It
 * was the depth only if both are more.
 */
static bool is_quicker(const struct depth_rate *a, const struct depth_rate *b)
{
	return a->bytes * 8 > b->bytes * GAIN &&
	       a->requests * 8 > b->requests * GAIN;
}

static unsigned int next_depth(const struct depth *d)
{
	const unsigned int step = d->now < STEP ? 1 : d->now / STEP;

	if (d->down)
		return d->now > step ? d->now - step : 1;
	return d->max - d->now > step ? d->now + step : d->max;
}

/* At an end of what there is, the other way is next. */
static void try_next(struct depth *d)
{
	const unsigned int next = next_depth(d);

	d->before = 0;
	if (next == d->now) {
		d->down = !d->down;
		return;
	}
	d->before = d->now;
	d->now = next;
}

static void take_back(struct depth *d)
{
	d->now = d->before;
	d->before = 0;
	d->down = !d->down;
	d->best = (struct depth_rate){ 0 };
	d->rest = d->pause;
	if (d->pause < PAUSE_MAX)
		d->pause *= 2;
}

/* Rates go up and down by themselves: a trial must beat the best of some. */
static void keep_best(struct depth *d, const struct depth_rate *rate)
{
	if (rate->bytes > d->best.bytes)
		d->best.bytes = rate->bytes;
	if (rate->requests > d->best.requests)
		d->best.requests = rate->requests;
}

static void climb(struct depth *d, const struct depth_rate *rate)
{
	if (d->before && !is_quicker(rate, &d->best)) {
		take_back(d);
		return;
	}
	keep_best(d, rate);
	if (d->before)
		d->pause = PAUSE_MIN;
	if (d->before || !d->rest)
		try_next(d);
	else
		d->rest--;
}

/*
 * It is the caller who is slow: he is better off with buffers that are not in
 * flight.
 */
static void give_way(struct depth *d)
{
	if (d->before)
		take_back(d);
	else if (d->now < d->start)
		d->now++;
	else if (d->now > d->start)
		d->now--;
}

static void begin_round(struct depth *d, uint64_t now)
{
	d->began = now;
	d->bytes = 0;
	d->requests = d->shallow = 0;
}

static void end_round(struct depth *d, uint64_t now)
{
	const double ns = now > d->began ? (double)(now - d->began) : 1;
	const struct depth_rate rate = { (double)d->bytes / ns,
					 (double)d->requests / ns };

	if (d->shallow > DEPTH_ROUND / SHALLOW)
		give_way(d);
	else
		climb(d, &rate);
	begin_round(d, now);
}

void depth_ended(struct depth *d, size_t bytes, bool full, uint64_t now)
{
	(void)pthread_mutex_lock(&d->lock);
	if (!d->began) {
		begin_round(d, now);
	} else {
		d->bytes += bytes;
		d->requests++;
		d->shallow += !full;
		if (d->requests == DEPTH_ROUND)
			end_round(d, now);
	}
	(void)pthread_mutex_unlock(&d->lock);
}

void depth_paused(struct depth *d)
{
	(void)pthread_mutex_lock(&d->lock);
	begin_round(d, 0);
	(void)pthread_mutex_unlock(&d->lock);
}
