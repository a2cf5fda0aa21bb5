/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work that all CPUs share is done once, and asks nothing of signals. */
#include "util/parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/lib/tap.h"

#define N 5000u

static unsigned char done[N];
static pthread_t caller;
static sigset_t caller_mask;
static int masked_wrongly;

static void work(void *arg, size_t i)
{
	sigset_t mask;

	(void)arg;
	(void)__atomic_fetch_add(&done[i], 1, __ATOMIC_RELAXED);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	if (pthread_equal(pthread_self(), caller)
		    ? sigismember(&mask, SIGUSR1) !=
			      sigismember(&caller_mask, SIGUSR1)
		    : !sigismember(&mask, SIGUSR1))
		(void)__atomic_fetch_add(&masked_wrongly, 1, __ATOMIC_RELAXED);
}

static bool once(size_t n)
{
	memset(done, 0, sizeof(done));
	parallel_run(n, work, NULL);
	for (size_t i = 0; i < N; i++)
		if (done[i] != (i < n))
			return false;
	return true;
}

int main(void)
{
	struct rlimit none = { 0, 0 };

	caller = pthread_self();
	(void)pthread_sigmask(SIG_SETMASK, NULL, &caller_mask);
	ok(once(0) && once(1) && once(2) && once(N), "each is done once");
	ok(masked_wrongly == 0, "signals are for the caller");
	/* A thread needs a stack, and there is no room for one. */
	(void)setrlimit(RLIMIT_AS, &none);
	ok(once(N), "without a thread the caller does all");
	return done_testing();
}
