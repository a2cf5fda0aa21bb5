/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/crash.h"

#include <signal.h>
#include <sys/wait.h>

#define SHELL_BASE 128

int crash_signal(int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status)
		  : WIFEXITED(status) ? WEXITSTATUS(status) - SHELL_BASE
				      : 0;

	/* Others are somebody's wish. */
	switch (sig) {
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
	case SIGSYS:
	case SIGKILL: /* out of memory */
		return sig;
	default:
		return 0;
	}
}
