/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run that cannot prove that it is the one stands still.  The tracer holds
 * it: should the worker or its parent die, everything goes on, and the parent
 * that takes over begins again.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "engine/freeze.h"
#include "util/clock.h"
#include "worker/worker.h"

int work_fence(struct work *w, Reply *reply, struct err *err)
{
	uint64_t deadline = w->req->timeout_s * NSEC_PER_SEC;
	struct tree_members members;
	struct frozen_tree tree;
	bool kill;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = work_connect(w, err);
	if (r < 0)
		return r;
	members = (struct tree_members){ .init_pid = w->info.init_pid };
	r = members.init_pid > 0 ? 0
				 : err_set(err, -ESRCH, "the job has no init");
	if (r == 0)
		r = tree_freeze(&members, deadline, &tree, err);
	if (r < 0)
		return err_wrap(err, r, "freeze");
	kill = work_ask_frozen(w);
	r = kill ? tree_kill(&tree, err) : tree_thaw(&tree, err);
	reply->outcome->has_frozen_ns = reply->outcome->has_killed = 1;
	reply->outcome->has_tasks = 1;
	reply->outcome->frozen_ns = clock_monotonic_ns() - tree.started_ns;
	reply->outcome->killed = kill;
	reply->outcome->tasks = (uint32_t)tree.ntasks;
	tree_free(&tree);
	return r;
}
