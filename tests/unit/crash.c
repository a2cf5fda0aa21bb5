/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ends of a job tell that it could not go on: for every status. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

#include "daemon/crash.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static const int crashes[] = { SIGILL, SIGTRAP, SIGABRT, SIGBUS,
			       SIGFPE, SIGSEGV, SIGSYS,  SIGKILL };

static bool is_crash(int sig)
{
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		if (crashes[i] == sig)
			return true;
	return false;
}

int main(void)
{
	unsigned int wrong = 0;
	int n;

	for (n = 0; n <= 255; n++)
		wrong += crash_signal(W_EXITCODE(n, 0)) !=
			 (is_crash(n - 128) ? n - 128 : 0);
	ok(wrong == 0, "of 256 exit statuses 8 are those of a shell: %u wrong",
	   wrong);
	ok(crash_signal(W_EXITCODE(0, 0)) == 0 &&
		   crash_signal(W_EXITCODE(1, 0)) == 0 &&
		   crash_signal(W_EXITCODE(127, 0)) == 0 &&
		   crash_signal(W_EXITCODE(128, 0)) == 0 &&
		   crash_signal(W_EXITCODE(128 + SIGTERM, 0)) == 0 &&
		   crash_signal(W_EXITCODE(255, 0)) == 0,
	   "a status of its own is the job's own end");
	for (n = 1, wrong = 0; n <= SIGRTMAX; n++)
		wrong += crash_signal(W_EXITCODE(0, n)) !=
				 (is_crash(n) ? n : 0) ||
			 crash_signal(W_EXITCODE(0, n) | WCOREFLAG) !=
				 (is_crash(n) ? n : 0);
	ok(wrong == 0, "so of %d signals, with a core file or without: %u",
	   SIGRTMAX, wrong);
	ok(crash_signal(W_STOPCODE(SIGSEGV)) == 0 && crash_signal(0xffff) == 0,
	   "what has not ended has not crashed");
	return done_testing();
}
