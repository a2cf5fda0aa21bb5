/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sched.h>

#include "engine/building.h"

#define THREAD_FLAGS                                                           \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |    \
	 CLONE_SYSVSEM)

/* They share the leader's stack pointer, but run nothing before the end. */
static int build_one(struct puppet *p, struct restore_thread *t,
		     struct err *err)
{
	int r;

	r = puppet_enter(p, &p->task.threads[0], err);
	if (r < 0)
		return r;
	r = remote_clone(p->task.remote, THREAD_FLAGS, 0, t->ns_tid, &t->tracee,
			 err);
	if (r < 0)
		return err_wrap(err, r, "pid %d: thread %d", p->task.ns_pid,
				t->ns_tid);
	t->tid = t->tracee.tid;
	return 0;
}

int build_threads(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++) {
		struct puppet *p = &b->puppets[i];

		for (size_t k = 1; k < p->task.nthreads && r == 0; k++)
			r = build_one(p, &p->task.threads[k], err);
	}
	return r;
}
