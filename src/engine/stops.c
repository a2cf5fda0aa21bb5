/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks that were stopped are stopped again while they are traced: remote
 * calls go on in them, and when they are let go the stop is what they are
 * in.  It happens early, so that what their parents hear of it can be taken
 * back.  The signal is SIGSTOP for all: the others can be caught, and are
 * ignored in a group without a shell.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/building.h"
#include "util/clock.h"

#define STOP_DEADLINE (10 * NSEC_PER_SEC)

static int stop_task(struct puppet *p, struct err *err)
{
	int r;

	r = puppet_leave(p, err);
	if (r < 0)
		return r;
	if (kill(p->task.pid, SIGSTOP) < 0)
		return err_sys(err, "stop");
	/* The first takes the signal, which then stops the others too. */
	for (size_t k = 0; k < p->task.nthreads && r == 0; k++) {
		struct tracee *t = &p->task.threads[k].tracee;

		r = tracee_continue(t, err);
		if (r == 0)
			r = tracee_wait_stop(
				t, clock_monotonic_ns() + STOP_DEADLINE, err);
	}
	return r;
}

/* A parent that had asked about the stop is not told again. */
static int tell_parent(struct building *b, size_t i, struct err *err)
{
	const TaskRecord *rec = b->plan->tasks[i];
	uint32_t parent = b->plan->family.members[i].parent;
	int64_t value;

	if (parent == FAMILY_NOBODY || rec->exit_status != 0)
		return 0;
	return puppet_call(&b->puppets[parent], "wait for a stop", &value, err,
			   __NR_wait4, (uint64_t)rec->pid, 0,
			   WUNTRACED | WNOHANG | __WALL, 0, 0, 0);
}

int build_stops(struct building *b, struct err *err)
{
	int r;

	for (size_t i = 0; i < b->plan->ntasks; i++) {
		if (b->plan->tasks[i]->state != TASK_RECORD__STATE__STOPPED)
			continue;
		r = stop_task(&b->puppets[i], err);
		if (r < 0)
			return err_wrap(err, r, "pid %d",
					b->plan->tasks[i]->pid);
		r = tell_parent(b, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}
