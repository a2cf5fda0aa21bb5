// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/common.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

static int by_start(const void *a, const void *b)
{
	const struct page_range *x = *(struct page_range *const *)a;
	const struct page_range *y = *(struct page_range *const *)b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int common_spread(struct source *sources, size_t count, struct err *err)
{
	auto_free struct page_range **v = calloc(count + 1, sizeof(*v));
	size_t n = 0, last;
	uint64_t end;
	bool common;

	if (!v)
		return err_set(err, -ENOMEM, "pages");
	for (size_t i = 0; i < count; i++)
		if (sources[i].range.pid)
			v[n++] = &sources[i].range;
	qsort(v, n, sizeof(*v), by_start);
	for (size_t i = 0; i < n; i = last) {
		common = v[i]->common;
		end = v[i]->end;
		for (last = i + 1; last < n && v[last]->start < end; last++) {
			common = common || v[last]->common;
			if (v[last]->end > end)
				end = v[last]->end;
		}
		for (size_t k = i; k < last; k++)
			v[k]->common = common;
	}
	return 0;
}
