/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "inject/remote_parts.h"
#include "util/clock.h"

#define DEATH_TRIES 2000 /* of half a millisecond */

/* Memory goes before the death is told. */
static int why_unreadable(struct remote *r, int e, struct err *err)
{
	for (int i = 0; i < DEATH_TRIES; i++) {
		int status, sig;

		if (waitpid(r->t->tid, &status, __WALL | WNOHANG) > 0 &&
		    !WIFSTOPPED(status))
			return tracee_pass_stop(r->t, status, &sig, err);
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	return e;
}

int await_word(struct remote *r, uint64_t addr, uint64_t before,
	       uint64_t patience_ns, struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + patience_ns;
	uint64_t word = before;

	for (unsigned int turns = 0;
	     !patience_ns || clock_monotonic_ns() < deadline; turns++) {
		int status, sig;
		pid_t got = waitpid(r->t->tid, &status, __WALL | WNOHANG);
		int e = got > 0 ? tracee_pass_stop(r->t, status, &sig, err) : 0;

		if (e < 0)
			return e;
		if (got > 0 && ptrace(PTRACE_CONT, r->t->tid, NULL, sig) < 0 &&
		    errno != ESRCH)
			return err_sys(err, "thread %d: go on", (int)r->t->tid);
		e = remote_read(r, addr, &word, sizeof(word), err);
		if (e < 0)
			return why_unreadable(r, e, err);
		if (word != before)
			return 0;
		if (turns < 500)
			sched_yield();
		else
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
	}
	return err_set(err, -ETIMEDOUT, "thread %d: calls do not end",
		       (int)r->t->tid);
}
