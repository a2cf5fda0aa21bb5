/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mutexes with priority inheritance, held across the cut, with waiters in the
 * kernel: private, in memory shared with a child, robust; one waits with an
 * absolute timeout, one with a condition variable.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define WAITERS 3
#define LONG_S  3600

static struct shared {
	pthread_mutex_t plain, robust;
	volatile int waiting, got, dead;
} * s;
static pthread_mutex_t own, robust_own;
static volatile int own_waiting, own_got;

static void init(pthread_mutex_t *m, bool shared, bool robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	if (shared)
		pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	victim_need(pthread_mutex_init(m, &attr) == 0, "mutex");
}

static void *wait_for_own(void *arg)
{
	struct timespec until;
	int r;

	__atomic_add_fetch(&own_waiting, 1, __ATOMIC_SEQ_CST);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LONG_S;
	r = arg ? pthread_mutex_timedlock(&own, &until)
		: pthread_mutex_lock(&own);
	victim_check(r == 0, "a waiter of a private one: %s", strerror(r));
	__atomic_add_fetch(&own_got, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&own);
	return NULL;
}

/* Holds a robust one of its process, and then ends with it. */
static void *hold_robust(void *arg)
{
	pthread_mutex_lock(&robust_own);
	*(volatile int *)arg = 1;
	victim_wait_go();
	return NULL;
}

static int child(void)
{
	int r;

	__atomic_add_fetch(&s->waiting, 1, __ATOMIC_SEQ_CST);
	r = pthread_mutex_lock(&s->plain);
	victim_check(r == 0, "the child: %s", strerror(r));
	pthread_mutex_unlock(&s->plain);
	r = pthread_mutex_lock(&s->robust);
	victim_check(r == 0, "the child, robust: %s", strerror(r));
	s->got = 1;
	/* Ends as its owner: the parent is told. */
	return r;
}

static void check_shared(pid_t pid)
{
	int r;

	victim_check(pthread_mutex_trylock(&s->plain) != 0 && !s->got,
		     "a shared mutex lost its owner");
	pthread_mutex_unlock(&s->robust);
	pthread_mutex_unlock(&s->plain);
	victim_check(waitpid(pid, &r, 0) == pid && r == 0, "child: %#x", r);
	victim_check(s->got, "the child did not get them");
	r = pthread_mutex_lock(&s->robust);
	victim_check(r == EOWNERDEAD, "a dead owner: %s", strerror(r));
}

int main(void)
{
	pthread_t threads[WAITERS], holder;
	static volatile int held;
	pid_t pid;
	int r;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_need(s != MAP_FAILED, "mmap");
	init(&s->plain, true, false);
	init(&s->robust, true, true);
	init(&own, false, false);
	init(&robust_own, false, true);
	pthread_mutex_lock(&s->plain);
	pthread_mutex_lock(&s->robust);
	pthread_mutex_lock(&own);
	pid = fork();
	if (pid == 0)
		_exit(child());
	for (int i = 0; i < WAITERS; i++)
		pthread_create(&threads[i], NULL, wait_for_own,
			       (void *)(intptr_t)(i % 2));
	pthread_create(&holder, NULL, hold_robust, (void *)&held);
	victim_until(held && s->waiting == 1 && own_waiting == WAITERS);
	victim_nap(20000000);
	victim_wait();
	victim_check(own_got == 0, "a private mutex lost its owner");
	victim_check(pthread_mutex_unlock(&own) == 0, "unlock");
	for (int i = 0; i < WAITERS; i++)
		pthread_join(threads[i], NULL);
	victim_check(own_got == WAITERS, "%d waiters got it", own_got);
	r = pthread_mutex_lock(&robust_own);
	victim_check(r == EOWNERDEAD, "a thread that ended: %s", strerror(r));
	check_shared(pid);
	pthread_join(holder, NULL);
	victim_verdict(victim_interrupts == 0,
		       "owners and waiters are the same");
}
