/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children that have ended and were not waited for yet. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/victim.h"

static volatile int told;

static void on_child(int sig)
{
	(void)sig;
	told++;
}

static pid_t ends(int code, int sig)
{
	struct rlimit none = { 0 };
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		prctl(PR_SET_NAME, "a zombie");
		if (sig)
			raise(sig);
		_exit(code);
	}
	victim_need(pid > 0, "fork");
	victim_need(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0,
		    "end of a child");
	return pid;
}

int main(void)
{
	static const struct {
		int code, sig;
	} ways[] = { { 7, 0 },       { 0, 0 },       { 255, 0 },
		     { 0, SIGTERM }, { 0, SIGKILL }, { 0, SIGSEGV },
		     { 0, SIGUSR1 } };
	enum { WAYS = sizeof(ways) / sizeof(ways[0]) };
	struct sigaction act = { .sa_handler = on_child };
	pid_t pid[WAYS], got;
	int status, before;

	victim_need(sigaction(SIGCHLD, &act, NULL) == 0, "sigaction");
	for (int i = 0; i < WAYS; i++)
		pid[i] = ends(ways[i].code, ways[i].sig);
	victim_until(told > 0);
	before = told;

	victim_wait();

	victim_check(told == before, "%d more SIGCHLD", told - before);
	for (int i = 0; i < WAYS; i++) {
		siginfo_t info = { 0 };

		victim_check(waitid(P_PID, (id_t)pid[i], &info,
				    WEXITED | WNOWAIT | WNOHANG) == 0 &&
				     info.si_pid == pid[i] &&
				     info.si_uid == getuid(),
			     "zombie %d: waitid: pid %d, uid %u", i,
			     info.si_pid, info.si_uid);
		status = -1;
		got = waitpid(pid[i], &status, WNOHANG);
		if (ways[i].sig)
			victim_check(got == pid[i] && WIFSIGNALED(status) &&
					     WTERMSIG(status) == ways[i].sig,
				     "zombie %d: status %#x instead of "
				     "signal %d",
				     i, status, ways[i].sig);
		else
			victim_check(got == pid[i] && WIFEXITED(status) &&
					     WEXITSTATUS(status) ==
						     ways[i].code,
				     "zombie %d: status %#x instead of "
				     "exit %d",
				     i, status, ways[i].code);
	}
	victim_check(waitpid(-1, &status, WNOHANG) < 0 && errno == ECHILD,
		     "an unknown child");
	victim_verdict(true, "zombies wait for their parent as they did");
}
