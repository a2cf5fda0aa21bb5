/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refused_filter KIND: filters and dispatch of system calls that could harm
 * the program if a checkpoint were killed; must not be hurt.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define NR       offsetof(struct seccomp_data, nr)
#define ARG0     offsetof(struct seccomp_data, args)
#define LOAD(o)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (o))
#define RET(v)   BPF_STMT(BPF_RET | BPF_K, (v))
#define IF(k, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (f))
#define BLOCK    1 /* SYSCALL_DISPATCH_FILTER_BLOCK */

static long answer(long nr, uint32_t value, unsigned int flags)
{
	struct sock_filter code[] = {
		LOAD(NR),
		IF((uint32_t)nr, 1),
		RET(value),
		RET(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

static bool kills_ldt(void)
{
	return answer(SYS_modify_ldt, SECCOMP_RET_KILL_PROCESS, 0) == 0;
}

static bool traps_getpid(void)
{
	return answer(SYS_getpid, SECCOMP_RET_TRAP, 0) == 0;
}

static bool traces(void)
{
	return answer(SYS_membarrier, SECCOMP_RET_TRACE, 0) == 0;
}

/* It makes this call itself only when it was stopped in a sleep. */
static bool kills_restart(void)
{
	return answer(SYS_restart_syscall, SECCOMP_RET_KILL_PROCESS, 0) == 0;
}

static bool fails_munmap(void)
{
	return answer(SYS_munmap, SECCOMP_RET_ERRNO | EPERM, 0) == 0;
}

static bool fails_sigreturn(void)
{
	return answer(SYS_rt_sigreturn, SECCOMP_RET_ERRNO | EPERM, 0) == 0;
}

/* Where the page comes to that mlockall is looked for with, nobody knows. */
static bool kills_one_mmap(void)
{
	struct sock_filter code[] = {
		LOAD(NR),      IF(SYS_mmap, 3), LOAD(ARG0),
		IF(0x4711, 1), RET(0),          RET(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) == 0;
}

static bool asks(void)
{
	int fd = (int)answer(2001, SECCOMP_RET_USER_NOTIF,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER);

	return fd >= 0 && close(fd) == 0;
}

static volatile int begun;
static int ends[2];

static void *strictly(void *arg)
{
	char c;

	begun = 1;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0)
		(void)!syscall(SYS_read, ends[0], &c, 1);
	return arg;
}

static bool strict(void)
{
	pthread_t id;

	return pipe(ends) == 0 &&
	       pthread_create(&id, NULL, strictly, NULL) == 0 &&
	       victim_until(begun);
}

static volatile char selector;

/* Makes no call any more. */
static void *caught(void *arg)
{
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0,
		  &selector) < 0)
		begun = -1;
	else
		begun = 1;
	selector = BLOCK;
	while (begun == 1)
		__asm__ volatile("pause");
	return arg;
}

static bool dispatched(void)
{
	pthread_t id;

	if (pthread_create(&id, NULL, caught, NULL) != 0)
		return false;
	if (victim_until(begun) < 0)
		victim_skip("no user dispatch");
	return victim_until(selector) == BLOCK;
}

static volatile char *byte;

static void *lets_pass(void *arg)
{
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0,
		  byte) < 0)
		victim_check(false, "dispatch: %s", strerror(errno));
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	victim_wait_go();
	return arg;
}

/* Another may change it while calls are made. */
static bool same_selector(void)
{
	pthread_t id;

	byte = &selector;
	return pthread_create(&id, NULL, lets_pass, NULL) == 0 &&
	       pthread_create(&id, NULL, lets_pass, NULL) == 0 &&
	       victim_until(begun == 2);
}

static bool shared_selector(void)
{
	pthread_t id;

	byte = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return byte != MAP_FAILED &&
	       pthread_create(&id, NULL, lets_pass, NULL) == 0 &&
	       victim_until(begun == 1);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* It might use user dispatch, of which this kernel tells nobody. */
static bool has_handler(void)
{
	return signal(SIGSYS, on_signal) != SIG_ERR;
}

static const struct kind {
	const char *name, *text;
	bool (*set)(void);
} kinds[] = {
	{ "kill", "does not let modify_ldt pass", kills_ldt },
	{ "trap", "does not let getpid pass", traps_getpid },
	{ "trace", "does not let membarrier pass", traces },
	{ "restart", "does not let restart_syscall pass", kills_restart },
	{ "munmap", "does not let munmap pass", fails_munmap },
	{ "sigreturn", "does not let rt_sigreturn pass", fails_sigreturn },
	{ "argument", "does not let mmap pass", kills_one_mmap },
	{ "notify", "asks another process", asks },
	{ "strict", "strict seccomp mode", strict },
	{ "dispatch", "syscall user dispatch would catch", dispatched },
	{ "same", "is another thread's, too", same_selector },
	{ "shared", "in shared memory", shared_selector },
	{ "handler", "has a handler for SIGSYS", has_handler },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];

		if (argc < 2 || strcmp(argv[1], k->name) != 0)
			continue;
		victim_need(k->set(), k->name);
		victim_wait_refused(k->text);
		victim_verdict(victim_interrupts == 0,
			       "%s: refused, and unharmed", k->name);
	}
	return 2;
}
