// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of ranges, against a plain array that has a tag for each address. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/tap.h"
#include "util/spans.h"

#define PLACES 64
#define ROUNDS 20000

struct plain {
	int32_t tag[PLACES]; /* 0: not in it */
};

static void random_set(struct spans *s, struct plain *p, struct err *err)
{
	unsigned int n = (unsigned int)random() % 8;

	*s = (struct spans){ 0 };
	memset(p, 0, sizeof(*p));
	while (n--) {
		uint64_t start = (uint64_t)random() % PLACES;
		uint64_t end = start + (uint64_t)random() % (PLACES - start);
		int32_t tag = 1 + (int32_t)(random() % 3);

		if (spans_add(s, start, end, tag, err) < 0)
			abort();
		/* What was there before counts. */
		for (; start < end; start++)
			if (!p->tag[start])
				p->tag[start] = tag;
	}
	if (spans_settle(s, err) < 0)
		abort();
}

/* Settled, with no needless joint, and the same at each address. */
static bool same(const struct spans *s, const struct plain *p)
{
	struct plain q = { 0 };

	for (size_t i = 0; i < s->count; i++) {
		const struct span *x = &s->v[i];

		if (x->start >= x->end || x->end > PLACES)
			return false;
		if (i && (x[-1].end > x->start ||
			  (x[-1].end == x->start && x[-1].tag == x->tag)))
			return false;
		for (uint64_t at = x->start; at < x->end; at++)
			q.tag[at] = x->tag;
	}
	return memcmp(&q, p, sizeof(q)) == 0;
}

static bool try_minus(const struct spans *a, const struct plain *pa,
		      const struct spans *b, const struct plain *pb,
		      bool same_tag, struct err *err)
{
	struct spans out = { 0 };
	struct plain want = *pa;
	bool pass;

	for (size_t i = 0; i < PLACES; i++)
		if (pb->tag[i] && (!same_tag || pb->tag[i] == pa->tag[i]))
			want.tag[i] = 0;
	pass = spans_minus(a, b, same_tag, &out, err) == 0 && same(&out, &want);
	spans_done(&out);
	return pass;
}

static bool try_and(const struct spans *a, const struct plain *pa,
		    const struct spans *b, const struct plain *pb,
		    bool same_tag, struct err *err)
{
	struct spans out = { 0 };
	struct plain want = *pa;
	bool pass;

	for (size_t i = 0; i < PLACES; i++)
		if (!pb->tag[i] || (same_tag && pb->tag[i] != pa->tag[i]))
			want.tag[i] = 0;
	pass = spans_and(a, b, same_tag, &out, err) == 0 && same(&out, &want);
	spans_done(&out);
	return pass;
}

static bool try_lay(struct spans *a, const struct plain *pa,
		    const struct spans *b, const struct plain *pb,
		    struct err *err)
{
	struct plain want = *pa;

	for (size_t i = 0; i < PLACES; i++)
		if (pb->tag[i])
			want.tag[i] = pb->tag[i];
	return spans_lay(a, b, err) == 0 && same(a, &want);
}

static bool try_cover(const struct spans *s, const struct plain *p)
{
	for (uint64_t start = 0; start < PLACES; start++)
		for (uint64_t end = start + 1; end <= PLACES; end++) {
			bool all = true;

			for (uint64_t at = start; at < end; at++)
				all = all && p->tag[at];
			if (spans_cover(s, start, end) != all)
				return false;
		}
	return true;
}

int main(void)
{
	unsigned int settled = 0, minus = 0, both = 0, laid = 0, covers = 0;
	struct err err = { 0 };

	srandom(1);
	for (int i = 0; i < ROUNDS; i++) {
		struct spans a, b;
		struct plain pa, pb;

		random_set(&a, &pa, &err);
		random_set(&b, &pb, &err);
		settled += same(&a, &pa) && same(&b, &pb);
		minus += try_minus(&a, &pa, &b, &pb, false, &err) &&
			 try_minus(&a, &pa, &b, &pb, true, &err);
		both += try_and(&a, &pa, &b, &pb, false, &err) &&
			try_and(&a, &pa, &b, &pb, true, &err);
		covers += i % 100 || try_cover(&a, &pa);
		laid += try_lay(&a, &pa, &b, &pb, &err);
		spans_done(&a);
		spans_done(&b);
	}
	ok(settled == ROUNDS, "what was added first counts");
	ok(minus == ROUNDS, "one set without another");
	ok(both == ROUNDS, "what is in both");
	ok(covers == ROUNDS, "what is covered");
	ok(laid == ROUNDS, "one set over another");
	return done_testing();
}
