/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/trial.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t trial_child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may be dead already. */
	while (getppid() == parent)
		pause();
	_exit(0);
}

static int stop_and_ask(pid_t pid, unsigned long options, int (*ask)(pid_t pid))
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, options) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 ||
	    waitpid(pid, &status, __WALL) < 0)
		return errno;
	return ask(pid);
}

int trial_tracee(unsigned long options, int (*ask)(pid_t pid))
{
	pid_t pid = trial_child();
	int e;

	if (pid < 0)
		return errno;
	e = stop_and_ask(pid, options, ask);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
	return e;
}
