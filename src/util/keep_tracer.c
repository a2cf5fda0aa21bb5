/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/keep_tracer.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int keep_tracer_begin(pid_t tid, struct err *err)
{
	return ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACEEXIT) < 0
		       ? err_sys(err, "keep thread %d of the worker", (int)tid)
		       : 0;
}

/* Stopped by us, or where it ends; a signal on its way is passed on. */
void keep_tracer_end(pid_t tid)
{
	long signal = 0;
	int status;

	(void)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	while (waitpid(tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return;
	if (!WIFSTOPPED(status))
		return;
	if (status >> 16 == 0)
		signal = WSTOPSIG(status);
	(void)ptrace(PTRACE_DETACH, tid, NULL, signal);
}
