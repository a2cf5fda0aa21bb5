/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/reaper.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the handler works on, and the one thread that may. */
static struct frozen_tree *volatile reaped;
static volatile pid_t owner;

/* A stop of a tracee is told too, whatever is asked for: look first. */
static void collect_thread(pid_t tid)
{
	const int look = WEXITED | WNOHANG | __WALL;
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)tid, &info, look | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return;
	if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
	    info.si_code == CLD_DUMPED)
		(void)waitid(P_PID, (id_t)tid, &info, look);
}

void reaper_collect(void)
{
	struct frozen_tree *tree = reaped;

	for (size_t i = 0; tree && i < tree->ntasks; i++)
		for (size_t k = 0; k < tree->tasks[i].nthreads; k++)
			collect_thread(tree->tasks[i].threads[k].tid);
}

static void on_child(int sig)
{
	const int before = errno;

	/* Another thread has taken what was meant for the one that waits. */
	if (gettid() != owner)
		(void)syscall(SYS_tgkill, getpid(), owner, sig);
	else
		reaper_collect();
	errno = before;
}

static void set_blocked(int how, sigset_t *old)
{
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)pthread_sigmask(how, &child, old);
}

void reaper_begin(struct reaper *r, struct frozen_tree *tree)
{
	struct sigaction sa = { .sa_handler = on_child,
				.sa_flags = SA_RESTART | SA_NOCLDSTOP };

	(void)sigemptyset(&sa.sa_mask);
	set_blocked(SIG_BLOCK, &r->mask);
	owner = gettid();
	reaped = tree;
	(void)sigaction(SIGCHLD, &sa, &r->old);
}

void reaper_end(struct reaper *r)
{
	(void)sigaction(SIGCHLD, &r->old, NULL);
	reaped = NULL;
	(void)pthread_sigmask(SIG_SETMASK, &r->mask, NULL);
}

void reaper_open(void)
{
	set_blocked(SIG_UNBLOCK, NULL);
}

void reaper_close(void)
{
	set_blocked(SIG_BLOCK, NULL);
}
