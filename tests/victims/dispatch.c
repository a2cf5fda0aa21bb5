/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Syscall user dispatch: by a selector that lets calls pass at the cut, and
 * by one that does not, in a thread whose C library may make calls.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define ALLOW 0
#define BLOCK 1
#ifndef PR_SYS_DISPATCH_INCLUSIVE_ON
#define PR_SYS_DISPATCH_INCLUSIVE_ON 2 /* Linux 6.17 */
#endif

enum { BY_SELECTOR, BY_RANGE, INCLUSIVE, KINDS };

static __thread volatile char selector;
static __thread volatile int caught, caught_nr;
static volatile int ready;

/* A call that is in no library; its end is at own_call_end. */
long own_call(long nr);
extern char own_call_end[];
__asm__(".text\n"
	".globl own_call, own_call_end\n"
	".type own_call, @function\n"
	"own_call:\n"
	"	mov %rdi, %rax\n"
	"	syscall\n"
	"own_call_end:\n"
	"	ret\n"
	".size own_call, . - own_call\n");

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	/* The way back must pass, too. */
	selector = ALLOW;
	caught++;
	caught_nr = info->si_syscall;
	(void)sig;
	(void)context;
}

/* The mapping that this address is in. */
static void find_mapping(unsigned long at, unsigned long *start,
			 unsigned long *end)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", start, end) == 2 && at >= *start &&
		    at < *end)
			break;
	if (f)
		fclose(f);
}

static int dispatch(int mode, unsigned long offset, unsigned long len,
		    volatile char *byte)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, offset, len, byte);
}

static bool begin(int kind)
{
	unsigned long start = 0, end = 0, at = (unsigned long)own_call_end;

	switch (kind) {
	case BY_SELECTOR:
		return dispatch(PR_SYS_DISPATCH_ON, 0, 0, &selector) == 0;
	case BY_RANGE:
		find_mapping((unsigned long)&getpid, &start, &end);
		selector = BLOCK;
		return dispatch(PR_SYS_DISPATCH_ON, start, end - start,
				&selector) == 0;
	default:
		/* Before Linux 6.17 there is no such thing. */
		return dispatch(PR_SYS_DISPATCH_INCLUSIVE_ON, at - 2, 3,
				NULL) == 0 ||
		       errno == EINVAL;
	}
}

static void check(int kind, const char *when)
{
	caught = 0;
	if (kind == BY_RANGE) {
		selector = BLOCK;
		victim_check(getpid() > 0 && !caught,
			     "%s: a call of the C library was caught", when);
	}
	if (kind == BY_SELECTOR) {
		victim_check(own_call(SYS_getpid) > 0 && !caught,
			     "%s: a call was caught", when);
		selector = BLOCK;
	}
	(void)own_call(SYS_getpid);
	victim_check(caught == 1 && caught_nr == SYS_getpid,
		     "%s: kind %d: %d calls were caught, of %d", when, kind,
		     caught, caught_nr);
	if (kind == BY_RANGE)
		selector = BLOCK;
}

static void *thread(void *arg)
{
	int kind = (int)(intptr_t)arg;
	bool none;

	victim_need(begin(kind), "user dispatch");
	/* What cannot be had here has not been set. */
	none = kind == INCLUSIVE && own_call(SYS_getpid) > 0 && !caught;
	if (!none)
		check(kind, "before");
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	victim_wait_go();
	if (!none)
		check(kind, "after");
	dispatch(PR_SYS_DISPATCH_OFF, 0, 0, NULL);
	return NULL;
}

int main(void)
{
	struct sigaction act = { .sa_sigaction = on_sigsys,
				 .sa_flags = SA_SIGINFO };
	pthread_t id[KINDS];

	if (dispatch(PR_SYS_DISPATCH_ON, 0, 0, &selector) < 0)
		victim_skip("no user dispatch: %s", strerror(errno));
	dispatch(PR_SYS_DISPATCH_OFF, 0, 0, NULL);
	sigaction(SIGSYS, &act, NULL);
	for (intptr_t i = 0; i < KINDS; i++)
		pthread_create(&id[i], NULL, thread, (void *)i);
	victim_until(ready == KINDS);
	victim_wait();
	for (int i = 0; i < KINDS; i++)
		pthread_join(id[i], NULL);
	(void)own_call(SYS_getpid);
	victim_verdict(victim_interrupts == 0, "user dispatch is kept");
}
