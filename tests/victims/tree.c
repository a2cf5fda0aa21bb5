/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A family with all its ties: parents, groups, sessions; leaders that are
 * dead, children that are older than their parent's session, orphans.  Each
 * member looks at its own ids before and after.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static volatile int *settled; /* shared: how many are where they stay */

struct ids {
	pid_t pid, ppid, pgid, sid;
};

static struct ids my_ids(void)
{
	return (struct ids){ getpid(), getppid(), getpgrp(), getsid(0) };
}

static void settle(void)
{
	__atomic_add_fetch(settled, 1, __ATOMIC_SEQ_CST);
}

static void compare(const char *name, const struct ids *a)
{
	struct ids b = my_ids();

	victim_check(a->pid == b.pid, "%s: pid %d, was %d", name, b.pid,
		     a->pid);
	victim_check(a->ppid == b.ppid, "%s: parent %d, was %d", name, b.ppid,
		     a->ppid);
	victim_check(a->pgid == b.pgid, "%s: group %d, was %d", name, b.pgid,
		     a->pgid);
	victim_check(a->sid == b.sid, "%s: session %d, was %d", name, b.sid,
		     a->sid);
}

/* A member with nothing to do; ends with code. */
static void stay(const char *name, int code)
{
	struct ids ids = my_ids();

	settle();
	victim_wait_go();
	compare(name, &ids);
	_exit(code);
}

static pid_t born(void)
{
	pid_t pid = fork();

	victim_need(pid >= 0, "fork");
	return pid;
}

static void expect_code(const char *name, pid_t pid, int code)
{
	int status = -1;

	victim_check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
			     WEXITSTATUS(status) == code,
		     "%s: wait status %#x instead of exit %d", name, status,
		     code);
}

/* Two of a group whose leader ends at once and is reaped. */
static void headless_group(pid_t out[2])
{
	pid_t leader = born();

	if (leader == 0) {
		setpgid(0, 0);
		victim_wait_go();
		_exit(0);
	}
	setpgid(leader, leader);
	for (int i = 0; i < 2; i++) {
		out[i] = born();
		if (out[i] == 0) {
			victim_need(setpgid(0, leader) == 0, "setpgid");
			/* Stay only when the leader is gone. */
			victim_until(kill(leader, 0) < 0);
			stay("member of a headless group", 10 + i);
		}
		victim_until(getpgid(out[i]) == leader);
	}
	kill(leader, SIGKILL);
	waitpid(leader, NULL, 0);
}

/* A child that was there before its parent began a session. */
static void late_session(void)
{
	pid_t child = born();
	struct ids ids;

	if (child == 0)
		stay("child older than the session", 21);
	victim_need(setsid() > 0, "setsid");
	ids = my_ids();
	settle();
	victim_wait_go();
	compare("leader of a late session", &ids);
	expect_code("child older than the session", child, 21);
	_exit(20);
}

/* setsid and two forks: its members belong to init, its leader is dead. */
static void daemonise(void)
{
	pid_t first = born();

	if (first == 0) {
		setsid();
		for (int i = 0; i < 2; i++)
			if (born() == 0) {
				if (i == 1)
					setpgid(0, 0);
				victim_until(getppid() == 1);
				stay("daemon", 0);
			}
		_exit(0);
	}
	waitpid(first, NULL, 0);
}

/* An orphan that is still in our session. */
static void orphan(void)
{
	pid_t first = born();

	if (first == 0) {
		if (born() == 0) {
			victim_until(getppid() == 1);
			stay("orphan", 0);
		}
		_exit(0);
	}
	waitpid(first, NULL, 0);
}

static void chain(int depth)
{
	pid_t child = 0;
	struct ids ids;

	while (depth > 0) {
		child = born();
		if (child)
			break;
		depth--;
	}
	ids = my_ids();
	settle();
	victim_wait_go();
	compare("link of a chain", &ids);
	if (depth)
		expect_code("link of a chain", child, 40 + depth - 1);
	_exit(40 + depth);
}

int main(void)
{
	pid_t group[2], late, leader, first;
	struct ids ids;

	settled = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_need(settled != MAP_FAILED, "mmap");
	headless_group(group);
	late = born();
	if (late == 0)
		late_session();
	daemonise();
	orphan();
	leader = born();
	if (leader == 0) {
		setpgid(0, 0);
		stay("leader of a group", 30);
	}
	first = born();
	if (first == 0)
		chain(6);
	ids = my_ids();
	victim_need(victim_until(*settled == 2 + 2 + 2 + 1 + 1 + 7),
		    "all of the family");

	victim_wait();

	compare("root", &ids);
	expect_code("member of a headless group", group[0], 10);
	expect_code("member of a headless group", group[1], 11);
	expect_code("leader of a late session", late, 20);
	expect_code("leader of a group", leader, 30);
	expect_code("first of the chain", first, 46);
	victim_check(waitpid(-1, NULL, WNOHANG) < 0, "an unknown child");
	victim_verdict(true, "parents, groups and sessions are kept");
}
