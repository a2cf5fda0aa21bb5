/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dispatches.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/user_dispatch.h"
#include "util/cleanup.h"

/* Where it could not be found out one look more does no harm. */
void dispatches_prepare(struct dispatches *d)
{
	d->by_ptrace = user_dispatch_by_ptrace() == 0;
	d->look = d->by_ptrace ? -EBADF : user_dispatch_open();
}

static int by_tid(const void *a, const void *b)
{
	const struct dispatch_seen *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static void take(struct tracee *t, const struct dispatch_seen *seen, size_t n)
{
	const struct dispatch_seen key = { .tid = (uint64_t)t->tid };
	const struct dispatch_seen *s =
		n ? bsearch(&key, seen, n, sizeof(*seen), by_tid) : NULL;

	if (s)
		t->dispatch = (struct dispatch){ .on = true,
						 .offset = s->offset,
						 .len = s->len,
						 .selector = s->selector };
}

void dispatches_take(const struct dispatches *d, struct frozen_tree *tree)
{
	auto_free struct dispatch_seen *seen = NULL;
	size_t n = 0;

	if (d->by_ptrace)
		return;
	tree->blind = d->look < 0 || user_dispatch_read(d->look, &seen, &n) < 0;
	if (n)
		qsort(seen, n, sizeof(*seen), by_tid);
	for (size_t i = 0; i < tree->ntasks; i++)
		for (size_t k = 0; k < tree->tasks[i].nthreads; k++)
			take(&tree->tasks[i].threads[k].tracee, seen, n);
}

void dispatches_done(struct dispatches *d)
{
	/* Zeroed, it is not open. */
	if (d->look > 0)
		close(d->look);
	*d = (struct dispatches){ 0 };
}
