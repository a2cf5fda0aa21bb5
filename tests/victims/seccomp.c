/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of system calls: some that all threads have, some of their own,
 * those of children; that they still work, and that a filter for all threads
 * can still be added where it could before.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define THREADS 3
/* Calls that no kernel has: ENOSYS when no filter says something else. */
#define CALL(n) (2000 + (n))

#define NR       offsetof(struct seccomp_data, nr)
#define ARG0     offsetof(struct seccomp_data, args)
#define LOAD(o)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (o))
#define RET(v)   BPF_STMT(BPF_RET | BPF_K, (v))
#define IF(k, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (f))

static pthread_barrier_t made, done;
static volatile int stage;

static long install(unsigned int flags, const struct sock_filter *code,
		    size_t len)
{
	struct sock_fprog p = { (unsigned short)len, (void *)code };

	if (getuid() != 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* Call n fails with its own number as error. */
static long fail(unsigned int flags, int n)
{
	const struct sock_filter code[] = {
		LOAD(NR),
		IF((uint32_t)CALL(n), 1),
		RET(SECCOMP_RET_ERRNO | (uint32_t)n),
		RET(SECCOMP_RET_ALLOW),
	};

	return install(flags, code, sizeof(code) / sizeof(*code));
}

/* Only with this argument; others are logged. */
static long fail_with(unsigned int flags, int n, uint32_t arg)
{
	const struct sock_filter code[] = {
		LOAD(NR),
		IF((uint32_t)CALL(n), 4),
		LOAD(ARG0),
		IF(arg, 1),
		RET(SECCOMP_RET_ERRNO | (uint32_t)n),
		RET(SECCOMP_RET_LOG),
		RET(SECCOMP_RET_ALLOW),
	};

	return install(flags, code, sizeof(code) / sizeof(*code));
}

/* Kills who makes a call that neither we nor jobcr need. */
static long kill_at(unsigned int flags, long nr)
{
	const struct sock_filter code[] = {
		LOAD(NR),
		IF((uint32_t)nr, 1),
		RET(SECCOMP_RET_KILL_PROCESS),
		RET(SECCOMP_RET_ALLOW),
	};

	return install(flags, code, sizeof(code) / sizeof(*code));
}

/* Calls that jobcr makes and nobody here needs: they may fail. */
static bool fail_known(void)
{
	static const long calls[] = { SYS_modify_ldt,    SYS_membarrier,
				      SYS_get_mempolicy, SYS_pkey_mprotect,
				      SYS_getitimer,     SYS_getpid };
	bool good = true;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const struct sock_filter code[] = {
			LOAD(NR),
			IF((uint32_t)calls[i], 1),
			RET(SECCOMP_RET_ERRNO | EACCES),
			RET(SECCOMP_RET_ALLOW),
		};

		good &= install(0, code, sizeof(code) / sizeof(*code)) == 0;
	}
	return good;
}

static int error_of(int n, uint64_t arg)
{
	errno = 0;
	return syscall(CALL(n), arg) < 0 ? errno : 0;
}

static int count_filters(void)
{
	FILE *f = fopen("/proc/thread-self/status", "re");
	char line[256];
	int n = -1;

	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "Seccomp_filters: %d", &n);
	if (f)
		fclose(f);
	return n;
}

struct expected {
	const char *who;
	int filters;
	bool base, second, own, third;
};

static void check(const struct expected *e)
{
	victim_check(count_filters() == e->filters, "%s: %d filters, not %d",
		     e->who, count_filters(), e->filters);
	victim_check(error_of(71, 0) == (e->base ? 71 : ENOSYS) &&
			     error_of(72, 0) == (e->second ? 72 : ENOSYS),
		     "%s: the common filters: %d %d", e->who, error_of(71, 0),
		     error_of(72, 0));
	victim_check(error_of(73, 5) == (e->own ? 73 : ENOSYS) &&
			     error_of(73, 6) == ENOSYS &&
			     error_of(73, 5ull << 32) == ENOSYS,
		     "%s: by argument: %d %d", e->who, error_of(73, 5),
		     error_of(73, 6));
	victim_check(error_of(74, 0) == (e->third ? 74 : ENOSYS),
		     "%s: its own: %d", e->who, error_of(74, 0));
}

static void *thread(void *arg)
{
	int n = (int)(intptr_t)arg, before;
	struct expected e = { .who = n == 1   ? "thread 1"
				     : n == 2 ? "thread 2"
					      : "thread 3",
			      .base = true,
			      .second = true };

	/* The leader's filter for all comes first. */
	victim_until(stage == 1);
	if (n == 1)
		victim_need(fail_with(SECCOMP_FILTER_FLAG_LOG, 73, 5) == 0,
			    "filter by argument");
	if (n == 2)
		victim_need(fail(0, 74) == 0, "filter of its own");
	e.own = n == 1;
	e.third = n == 2;
	e.filters = before = count_filters();
	check(&e);
	pthread_barrier_wait(&made);
	while (stage != 2)
		victim_nap(1000000);
	e.filters = before;
	check(&e);
	pthread_barrier_wait(&done);
	return NULL;
}

/* All its threads have the same: one more for all of them must work. */
static void *same_thread(void *arg)
{
	victim_wait_go();
	victim_until(stage == 3);
	victim_check(error_of(75, 0) == 75 && error_of(71, 0) == 71,
		     "a filter for all threads came to all but one: %d",
		     error_of(75, 0));
	return arg;
}

static void child(int pipe_fd)
{
	pthread_t id[THREADS];
	int before;

	stage = 0;
	victim_need(fail(0, 74) == 0, "filter of a child");
	for (int i = 0; i < THREADS; i++)
		pthread_create(&id[i], NULL, same_thread, NULL);
	before = count_filters();
	victim_need(write(pipe_fd, "r", 1) == 1, "pipe");
	victim_wait_go();
	check(&(struct expected){ .who = "child",
				  .filters = before,
				  .base = true,
				  .second = true,
				  .third = true });
	victim_check(fail(SECCOMP_FILTER_FLAG_TSYNC, 75) == 0,
		     "no filter for all threads any more: %s", strerror(errno));
	stage = 3;
	for (int i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	_exit(0);
}

static pid_t start_child(void)
{
	int ends[2];
	char c;
	pid_t pid;

	victim_need(pipe(ends) == 0, "pipe");
	pid = fork();
	if (pid == 0)
		child(ends[1]);
	victim_need(pid > 0 && read(ends[0], &c, 1) == 1, "child");
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void *filtered(void *arg)
{
	struct expected e = { .who = "a thread alone", .third = true };

	victim_need(fail(0, 74) == 0, "filter of one thread");
	e.filters = count_filters();
	stage = 1;
	victim_wait_go();
	check(&e);
	return arg;
}

/* Only one of its threads, and not the first, has a filter. */
static pid_t start_lone(void)
{
	struct expected e = { .who = "a leader without" };
	pid_t pid = fork();
	pthread_t id;

	victim_need(pid >= 0, "fork");
	if (pid > 0)
		return pid;
	e.filters = count_filters();
	pthread_create(&id, NULL, filtered, NULL);
	victim_wait_go();
	victim_check(stage == 1, "the thread is not ready");
	check(&e);
	pthread_join(id, NULL);
	_exit(0);
}

int main(void)
{
	pthread_t id[THREADS];
	int before, status;
	pid_t pid, lone = start_lone();

	if (fail(0, 71) < 0)
		victim_skip("no seccomp filters: %s", strerror(errno));
	victim_need(kill_at(0, SYS_reboot) == 0, "filter that kills");
	victim_need(fail_known(), "filters that let calls fail");
	pthread_barrier_init(&made, NULL, THREADS + 1);
	pthread_barrier_init(&done, NULL, THREADS + 1);
	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&id[i], NULL, thread, (void *)(i + 1));
	victim_need(fail(SECCOMP_FILTER_FLAG_TSYNC, 72) == 0, "for all");
	stage = 1;
	pthread_barrier_wait(&made);
	pid = start_child();
	before = count_filters();
	victim_wait();
	check(&(struct expected){ .who = "leader",
				  .filters = before,
				  .base = true,
				  .second = true });
	errno = 0;
	victim_check(syscall(SYS_getpid) == -1 && errno == EACCES,
		     "getpid does not fail any more");
	stage = 2;
	pthread_barrier_wait(&done);
	/* Names the thread that has filters which the leader has not. */
	victim_check(waitpid(pid, &status, 0) == pid && status == 0,
		     "child ended with %#x", (unsigned int)status);
	victim_check(waitpid(lone, &status, 0) == lone && status == 0,
		     "the other child ended with %#x", (unsigned int)status);
	victim_verdict(victim_interrupts == 0, "filters of calls are kept");
}
