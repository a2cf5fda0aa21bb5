// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/recheck.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "snapshot/reread.h"

struct recheck {
	struct reread what;
	const Extent **extents;
	atomic_bool drop;
	pthread_t thread;
	int result;
	struct err err;
};

static int go_on(void *arg, struct err *err)
{
	const struct recheck *r = arg;

	return atomic_load(&r->drop) ? err_set(err, -ECANCELED, "not wanted")
				     : 0;
}

static void *thread_main(void *arg)
{
	struct recheck *r = arg;

	r->result = snapshot_reread(&r->what, &r->err);
	return NULL;
}

static int list_extents(struct recheck *r, const struct lender *l,
			struct err *err)
{
	r->extents = calloc(l->nextents + 1, sizeof(*r->extents));
	if (!r->extents)
		return err_num(err, ENOMEM, "%zu extents", l->nextents);
	for (size_t i = 0; i < l->nextents; i++)
		if (l->wanted[i].check)
			r->extents[r->what.count++] = l->wanted[i].extent;
	r->what.extents = r->extents;
	return 0;
}

static void free_all(struct recheck *r)
{
	free(r->extents);
	free(r);
}

/* Signals are for the thread that called. */
static int start_thread(struct recheck *r, struct err *err)
{
	sigset_t all, old;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&r->thread, NULL, thread_main, r);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return e ? err_num(err, e, "a thread that reads") : 0;
}

int recheck_begin(const struct checkpoint_args *args, const struct lender *l,
		  struct bucket *bandwidth, struct recheck **ret,
		  struct err *err)
{
	struct recheck *made = calloc(1, sizeof(*made));
	int r;

	if (!made)
		return err_num(err, ENOMEM, "what is to be read again");
	made->what = (struct reread){
		.dir_fd = args->base_fd,
		.user = args->owner,
		.part = l->part,
		.blocks = &l->blocks,
		.no_direct = args->no_direct,
		.bandwidth = bandwidth,
		.go_on = go_on,
		.arg = made,
	};
	r = list_extents(made, l, err);
	if (r == 0)
		r = start_thread(made, err);
	if (r < 0) {
		free_all(made);
		return r;
	}
	*ret = made;
	return 0;
}

int recheck_end(struct recheck *r, struct err *err)
{
	int result;

	(void)pthread_join(r->thread, NULL);
	result = r->result;
	if (result < 0)
		*err = r->err;
	free_all(r);
	return result;
}

void recheck_drop(struct recheck *r)
{
	struct err unused;

	if (!r)
		return;
	atomic_store(&r->drop, true);
	(void)recheck_end(r, &unused);
}
