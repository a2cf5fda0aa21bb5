/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Models of storage are climbed: rates of so many requests in flight. */
#include <string.h>

#include "storage/depth.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define MIB     (1u << 20)
#define REQUEST (4u * MIB)
#define ROUNDS  400u
#define LIMIT   10u /* of the models */

typedef double (*model_fn)(unsigned int in_flight); /* bytes per second */

/* No quicker beyond a limit. */
static double saturates(unsigned int in_flight)
{
	return 2e8 * (in_flight < LIMIT ? in_flight : LIMIT);
}

/* What comes together beyond it is in each other's way. */
static double is_harmed(unsigned int in_flight)
{
	return in_flight <= LIMIT ? 2e8 * in_flight : 2e9 * LIMIT / in_flight;
}

static double is_level(unsigned int in_flight)
{
	(void)in_flight;
	return 2e9;
}

struct stage {
	struct depth depth;
	model_fn model;
	uint64_t now, random;
	double noise;              /* at most this part of each round */
	unsigned int least, most;  /* depths there were */
	double bytes, bytes_still; /* as it went, and at the first depth */
};

static double noise(struct stage *s)
{
	s->random = s->random * 6364136223846793005ull + 1442695040888963407ull;
	return 1 + s->noise * ((double)(s->random >> 33) / (1u << 30) - 1);
}

static void begin(struct stage *s, model_fn model, unsigned int start,
		  unsigned int max)
{
	memset(s, 0, sizeof(*s));
	depth_init(&s->depth, start, max);
	s->model = model;
	s->now = 1;
	s->least = s->most = start;
}

static void run(struct stage *s, unsigned int rounds, size_t bytes, bool full)
{
	for (unsigned int i = 0; i < rounds; i++) {
		const double factor = noise(s);

		for (unsigned int k = 0; k < DEPTH_ROUND; k++) {
			const unsigned int now = depth_now(&s->depth);
			const double ns = (double)bytes / factor /
					  s->model(now) * NSEC_PER_SEC;

			s->now += (uint64_t)ns;
			s->bytes += (double)bytes;
			s->bytes_still += ns / NSEC_PER_SEC * factor *
					  s->model(s->depth.start);
			if (now < s->least)
				s->least = now;
			if (now > s->most)
				s->most = now;
			depth_ended(&s->depth, bytes, full, s->now);
		}
	}
}

static bool is_near(struct stage *s, unsigned int wanted)
{
	const unsigned int now = depth_now(&s->depth);

	return now + 3 >= wanted && now <= wanted + 3;
}

static void end(struct stage *s)
{
	depth_done(&s->depth);
}

static void test_saturating(void)
{
	struct stage s;

	begin(&s, saturates, 4, 32);
	run(&s, 30, REQUEST, true);
	ok(is_near(&s, LIMIT) && s.bytes > 1.8 * s.bytes_still,
	   "it grows as long as that helps: %u", depth_now(&s.depth));
	run(&s, ROUNDS, REQUEST, true);
	ok(is_near(&s, LIMIT), "and no more then: %u", depth_now(&s.depth));
	end(&s);
	begin(&s, saturates, 4, 6);
	run(&s, ROUNDS, REQUEST, true);
	ok(s.most == 6 && depth_now(&s.depth) >= 5,
	   "there are no more than buffers: %u", depth_now(&s.depth));
	end(&s);
	begin(&s, saturates, 1, 1);
	run(&s, ROUNDS, REQUEST, true);
	ok(s.least == 1 && s.most == 1, "one buffer is one request");
	end(&s);
}

static void test_harmed(void)
{
	struct stage s;

	begin(&s, is_harmed, 28, 32);
	run(&s, 30, REQUEST, true);
	ok(is_near(&s, LIMIT) && s.bytes > 1.5 * s.bytes_still,
	   "it shrinks where more does harm: %u", depth_now(&s.depth));
	run(&s, ROUNDS, REQUEST, true);
	ok(is_near(&s, LIMIT), "and stays there: %u", depth_now(&s.depth));
	end(&s);
}

static void test_level(void)
{
	struct stage s;

	begin(&s, is_level, 8, 16);
	run(&s, ROUNDS, REQUEST, true);
	ok(s.least == 6 && s.most == 10 && is_near(&s, 8),
	   "without a difference it stays: %u to %u", s.least, s.most);
	end(&s);
	/* Storage whose rate is anything from half to one and a half. */
	begin(&s, saturates, 8, 16);
	s.noise = 0.5;
	run(&s, 100 * ROUNDS, REQUEST, true);
	ok(s.bytes > s.bytes_still,
	   "noise costs less than the depth gains: "
	   "%.0f%% of what a fixed one moves",
	   100 * s.bytes / s.bytes_still);
	end(&s);
}

/* Requests of other sizes have other rates. */
static void test_sizes(void)
{
	struct stage s;

	begin(&s, is_level, 8, 16);
	for (unsigned int i = 0; i < ROUNDS; i++)
		run(&s, 1, i % 3 ? REQUEST : REQUEST / 64, true);
	ok(s.least >= 6 && s.most <= 10,
	   "small and large requests are no gain: %u to %u", s.least, s.most);
	end(&s);
}

static void test_slow_caller(void)
{
	struct stage s;

	begin(&s, saturates, 8, 16);
	run(&s, 30, REQUEST, true);
	ok(depth_now(&s.depth) > 8, "deeper: %u", depth_now(&s.depth));
	run(&s, 10, REQUEST, false);
	ok(depth_now(&s.depth) == 8, "a slow caller has his buffers back: %u",
	   depth_now(&s.depth));
	end(&s);
}

/* A round with a minute in it, before and in a trial. */
static void test_paused(void)
{
	struct stage s;

	begin(&s, is_level, 8, 16);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		depth_paused(&s.depth);
		s.now += 60 * NSEC_PER_SEC;
		run(&s, 1 + i % 2, REQUEST, true);
	}
	ok(s.least >= 6 && s.most <= 10, "pauses do not count: %u to %u",
	   s.least, s.most);
	end(&s);
}

int main(void)
{
	test_saturating();
	test_harmed();
	test_level();
	test_sizes();
	test_slow_caller();
	test_paused();
	return done_testing();
}
