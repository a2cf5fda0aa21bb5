/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Behind filters that kill at every call but its own and those that the
 * resources say they make: if they made another one it would be refused.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "resource/resource.h"
#include "tests/lib/victim.h"

#define ROOM 256

struct program {
	struct sock_filter code[ROOM];
	unsigned short len;
};

static volatile int ready;

static void add(struct program *p, long nr, uint32_t value)
{
	const struct sock_filter is =
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
	const struct sock_filter say = BPF_STMT(BPF_RET | BPF_K, value);

	victim_need(p->len + 3 < ROOM, "room");
	p->code[p->len++] = is;
	p->code[p->len++] = say;
}

/* By our own, or to lead home. */
static void add_own(struct program *p)
{
	static const long calls[] = {
		SYS_access,          SYS_nanosleep, SYS_clock_nanosleep,
		SYS_openat,          SYS_write,     SYS_close,
		SYS_restart_syscall, SYS_exit,      SYS_rt_sigreturn,
		SYS_exit_group,      SYS_futex,     SYS_rt_sigprocmask,
		SYS_madvise,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		add(p, calls[i], SECCOMP_RET_ALLOW);
}

static void add_asks(struct program *p, bool leader)
{
	for (size_t n = 0; resource_table[n]; n++) {
		const struct remote_ask *ask = resource_table[n]->asks;

		if (!leader && resource_table[n]->scope != SCOPE_THREAD)
			continue;
		for (; ask && ask->name; ask++)
			add(p, ask->nr,
			    ask->must ? SECCOMP_RET_ALLOW
				      : SECCOMP_RET_ERRNO | ENODATA);
	}
	/* Whatever is asked. */
	add(p, SYS_getpid, SECCOMP_RET_ERRNO | ENODATA);
	add(p, SYS_rt_sigaction, SECCOMP_RET_ERRNO | ENODATA);
}

static void go_behind(bool leader)
{
	const struct sock_filter load = BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	const struct sock_filter kill =
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	struct program p = { .code = { load }, .len = 1 };
	struct sock_fprog f = { .filter = p.code };

	add_own(&p);
	add_asks(&p, leader);
	p.code[p.len++] = kill;
	f.len = p.len;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f) < 0)
		victim_skip("no seccomp filters");
}

static void *thread(void *arg)
{
	go_behind(false);
	ready = 1;
	victim_wait_go();
	ready = 2;
	return arg;
}

int main(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec when = { .it_value.tv_sec = 1000 };
	timer_t timer;
	pthread_t id;

	victim_need(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0 &&
			    timer_settime(timer, 0, &when, NULL) == 0,
		    "timer");
	pthread_create(&id, NULL, thread, NULL);
	victim_until(ready == 1);
	go_behind(true);
	victim_wait();
	victim_verdict(victim_until(ready == 2) && victim_interrupts == 0,
		       "no call is made but those that are told");
}
