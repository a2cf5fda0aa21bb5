/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Affinity follows the allocation: a thread free to use all of it is free to
 * use all of the new one, one bound to its first CPU is on the new first.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/victim.h"

static pthread_barrier_t ready;

static unsigned long affinity_of(pid_t tid)
{
	unsigned long mask[128] = { 0 };

	syscall(SYS_sched_getaffinity, tid, sizeof(mask), mask);
	return mask[0];
}

static unsigned long first_of(unsigned long mask)
{
	return mask & -mask;
}

static void *bound(void *arg)
{
	unsigned long one = first_of(affinity_of(1));
	const unsigned long was = one;

	victim_need(syscall(SYS_sched_setaffinity, 0, sizeof(one), &one) == 0,
		    "sched_setaffinity");
	pthread_barrier_wait(&ready);
	victim_wait_go();
	one = first_of(affinity_of(1));
	/* Bound to all there was is the same as bound to nothing. */
	victim_check(affinity_of(0) == one || affinity_of(0) == affinity_of(1),
		     "bound to %lx: is on %lx, the allocation is %lx", was,
		     affinity_of(0), affinity_of(1));
	victim_check(1ul << sched_getcpu() & affinity_of(0),
		     "it runs on CPU %d", sched_getcpu());
	return arg;
}

int main(void)
{
	const unsigned long before = affinity_of(1);
	pthread_t thread;

	victim_need(before != 0 && affinity_of(0) == before,
		    "pid 1 is the measure");
	pthread_barrier_init(&ready, NULL, 2);
	pthread_create(&thread, NULL, bound, NULL);
	pthread_barrier_wait(&ready);
	victim_wait();
	victim_check(affinity_of(0) == affinity_of(1),
		     "was on %lx: is on %lx, the allocation is %lx", before,
		     affinity_of(0), affinity_of(1));
	pthread_join(thread, NULL);
	victim_verdict(true, "affinity follows the allocation");
}
